import { TierbedError } from '../../base/errors.js';
import { Candidates, crossingBytes, stageWeights, type Weight } from './candidates.js';
import type { Choice, Chosen } from './chosen.js';
import { balancedByTime } from './measured.js';
import type { Measure } from './options.js';

/** Cuts whose largest stage is within this of the best are as good: the bytes that cross decide. */
const AS_GOOD = 1.01;

const WEIGHTS: Readonly<Record<Exclude<Measure, 'time'>, Weight>> = {
  parameters: ({ parameters }) => parameters,
  macs: ({ macs }) => macs ?? Number.NaN,
};

/**
 * The cuts whose largest stage is the smallest; of those within 1 % of it the ones with the fewest bytes crossing.
 *
 * @throws TierbedError `invalid` when the model cannot be cut into so many stages, or has none of what is measured
 */
export async function balanced(choice: Choice, stages: number, by: Measure): Promise<Chosen> {
  const candidates = await Candidates.find(choice.model, choice.dims);
  if (by === 'time') return balancedByTime(choice, candidates, stages);
  const largest = (cuts: Parameters<typeof stageWeights>[0]): number => Math.max(...stageWeights(cuts, WEIGHTS[by]));
  const even = candidates.best(stages, largest);
  const limit = even ? largest(even) * AS_GOOD : 0;
  if (!even || limit === 0) {
    throw new TierbedError('invalid', `the model cannot be cut into ${stages} stages that are balanced by ${by}`, {
      fix: even ? `It has no ${by}: balance by something else.` : 'Balance by parameters, or name the cuts.',
    });
  }
  const best = candidates.best(stages, (cuts) => {
    return largest(cuts) <= limit ? crossingBytes(cuts) : Number.POSITIVE_INFINITY;
  });
  const why = `the stage with the most ${by} has the fewest that it can have, within 1 %; of such cuts the fewest bytes cross`;
  return { cuts: (best ?? even).map(({ tensors }) => tensors), why };
}
