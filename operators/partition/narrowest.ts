import { TierbedError } from '../../base/errors.js';
import { Candidates, crossingBytes, stageWeights } from './candidates.js';
import type { Choice, Chosen } from './chosen.js';

/**
 * The cuts with the fewest bytes crossing, in sum, that leave every stage at least a share of the work; of equals those
 * whose stages are the most alike, and of these the last.
 *
 * @throws TierbedError `invalid` when no place leaves every stage that much
 */
export async function narrowest({ model, dims }: Choice, stages: number, minShare: number): Promise<Chosen> {
  const candidates = await Candidates.find(model, dims);
  const { name, of } = candidates.work;
  // Less than a byte between the most alike and the least.
  const best = candidates.best(stages, (cuts) => {
    const weights = stageWeights(cuts, of);
    const total = weights.reduce((a, b) => a + b, 0);
    const least = Math.min(...weights) / total;
    return least >= minShare ? crossingBytes(cuts) + 1 - least : Number.POSITIVE_INFINITY;
  });
  if (!best) {
    const what = `the model cannot be cut into ${stages} stages with ${100 * minShare} % of its ${name} in each`;
    throw new TierbedError('invalid', what, {
      fix: 'Give a smaller `minShare`, or name the cuts: `tierbed inspect MODEL` lists them.',
    });
  }
  const why = `the fewest bytes cross of all cuts that leave every stage at least ${100 * minShare} % of the ${name}`;
  return { cuts: best.map(({ tensors }) => tensors), why };
}
