import { TierbedError } from '../../base/errors.js';
import { trainableWeights } from '../../onnx/grad/trainable.js';
import type { Model } from '../../onnx/model.js';
import { partOf } from '../../workloads/prepared.js';
import { lessonFacts, lessonsOf } from '../distill/lessons.js';
import { answerOf, refuseTemperature } from '../distill/plan.js';
import { shapedByItem, taught } from '../distill/taught.js';
import type { OperatorContext } from '../operator.js';
import { defaultObjective } from '../train/default-objective.js';
import { train } from '../train/train.js';
import type { TrainPlugin, TrainResult, TrainSettings } from '../train/types.js';
import type { Facts } from '../variant.js';
import type { PruneMethod } from './method.js';
import type { PrunePlan } from './options.js';
import { prunePlugin } from './plugin.js';
import { weightArrays, withWeights } from './weights.js';

/** A model, and what its training says of itself. */
export interface Trained {
  readonly model: Model;
  readonly training: unknown;
  /** What it was taught meanwhile, where it was, for the manifest. */
  readonly distill?: Facts;
}

/**
 * How to train; undefined when nothing is trained: where it says so, and where it does not say and there is no data.
 *
 * @throws TierbedError `invalid` when training is asked for, or gradients are needed, and there is no training part
 */
export function settingsFor(
  { train: told, score, distill }: PrunePlan,
  { workload }: OperatorContext,
): TrainSettings | undefined {
  const items = partOf(workload, 'training').length;
  if (told && items === 0) {
    throw new TierbedError('invalid', `prune.train: ${workload.name} has no training part`, {
      fix: 'Give its data a training part; or set `train: false`, which prunes at once and trains nothing.',
    });
  }
  const answers = workload.postprocess.kind !== 'digest';
  const settings = told === undefined && items > 0 && answers ? {} : told || undefined;
  if (!settings && distill) {
    throw new TierbedError(
      'invalid',
      `prune.distill teaches while it trains, and nothing is trained for ${workload.name}`,
      {
        fix: 'Give its data a training part and labels; or leave `distill` out.',
      },
    );
  }
  if (settings || (score !== 'taylor' && score !== 'snip-momentum')) return settings;
  throw new TierbedError('invalid', `prune: \`score: ${score}\` comes from gradients, and nothing is trained`, {
    fix: `Train, which takes a training part; or use \`score: ${score === 'taylor' ? 'l2' : 'magnitude'}\`.`,
  });
}

/** Decides what goes, and sets it to zero, without training. */
export function pruneAtOnce(
  model: Model,
  method: PruneMethod,
  { sparsity }: PrunePlan,
  weights: ReadonlySet<string>,
): Trained {
  const arrays = weightArrays(model, weights);
  method.advance(sparsity, arrays);
  method.zero(arrays);
  return { model: withWeights(model, arrays), training: 'none: pruned at once, and what is left was not trained' };
}

/** Prunes more and more while the model is trained. */
export function pruneGradually(
  model: Model,
  method: PruneMethod,
  plan: PrunePlan,
  settings: TrainSettings,
  context: OperatorContext,
): Promise<Trained> {
  const { train: _, ...identity } = plan;
  const plugin = prunePlugin(method, plan.schedule, plan.sparsity, JSON.stringify(identity));
  return trainPruned(model, model, [plugin], plan, settings, context);
}

/**
 * Trains a model on the labels of its workload, and on what its teacher says where that is wanted.
 *
 * @param unpruned the model as it was before anything went, which is the teacher
 */
export async function trainPruned(
  model: Model,
  unpruned: Model,
  plugins: readonly TrainPlugin[],
  { batchNorm, distill }: PrunePlan,
  settings: TrainSettings,
  context: OperatorContext,
): Promise<Trained> {
  const { workload, threads, workDir, progress, signal } = context;
  const request = { workload, settings, plugins, batchNorm, threads, progress, signal, folder: workDir };
  const trained = ({ model: made, curve, facts }: TrainResult) => ({ model: made, training: { curve, ...facts } });
  if (!distill) return trained(await train({ ...request, model, objective: defaultObjective(workload, settings) }));
  const answer = answerOf(workload);
  refuseTemperature(answer, distill, workload);
  const teacher = await shapedByItem(unpruned, workload, signal);
  const own = model === unpruned ? teacher : await shapedByItem(model, workload, signal);
  const lessons = lessonsOf(distill, answer, own, teacher, settings.seed);
  const weights = trainableWeights(model);
  const lesson = await taught(
    { student: model, teacher, lessons, given: distill, settings, context, identity: 'the model before pruning' },
    ({ projections, ...taken }) => train({ ...request, ...taken, weights: [...weights, ...projections] }),
  );
  return { ...trained(lesson.result), distill: { ...lessonFacts(lessons), teacher: lesson.teacher } };
}
