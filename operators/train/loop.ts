import { TierbedError } from '../../base/errors.js';
import { metricOf } from '../../workloads/metrics/index.js';
import { augmenter } from './augment/index.js';
import { BatchInputs } from './batch-inputs.js';
import { epochOrder } from './epoch-order.js';
import { clipScale, globalNorm } from './global-norm.js';
import type { Position } from './position.js';
import { learningRate } from './schedule.js';
import type { Setup } from './setup.js';
import type { TrainingStep } from './step.js';
import type { Tuning } from './tuning.js';
import type { Batch, CurvePoint, StepView, TrainRequest } from './types.js';

/** What the loop works with, and tells of itself. */
export interface LoopOptions {
  readonly request: TrainRequest;
  readonly setup: Setup;
  readonly step: TrainingStep;
  /** undefined: the data has no tuning part. */
  readonly tuning: Tuning | undefined;
  /** The best weights so far, of `patience`; empty without. */
  readonly best: ReadonlyMap<string, Float32Array>;
  /** Behind every step. @param epochEnd whether an epoch ended with it */
  afterStep(position: Position, epochEnd: boolean): Promise<void>;
  /** A loss or a gradient is no finite number. @returns what to throw */
  notFinite(batch: Batch, loss: number, rate: number): Promise<unknown>;
  /** The signal has come. */
  cancelled(position: Position): Promise<void>;
}

/** Divergence: the running mean of the loss is that many times what it was at first (and 1, for losses that begin at 0). */
const DIVERGED = 10;
/** Of the running mean of the loss. */
const MEMORY = 0.9;

/**
 * Trains from a position to the end.
 *
 * @throws TierbedError `cancelled` within one step of the signal; `invalid` when training diverges
 */
export async function trainFrom(start: Position, options: LoopOptions): Promise<Position> {
  const { request, setup, step, tuning } = options;
  const { workload, objective, plugins = [], progress, signal } = request;
  const { settings, graph, arrays, slots, training, stepsPerEpoch, steps } = setup;
  const names = new Set(request.model.graph.inputs.map(({ name }) => name));
  const inputs = new BatchInputs(
    graph.model.graph.inputs.filter(({ name }) => names.has(name) && !setup.given.has(name)),
    settings.batch,
  );
  const augment = augmenter(settings.augment, inputs.slots[0] ?? [], settings.seed);
  let position = start;
  let order: readonly number[] = [];
  let orderOf = -1;
  progress.start(`training ${workload.name}`, steps);
  while (!position.done) {
    if (signal.aborted) {
      await options.cancelled(position);
      throw new TierbedError('cancelled', `training was cancelled at step ${position.step} of ${steps}`, {
        fix: 'Run again: training goes on from its checkpoint.',
      });
    }
    const startMs = performance.now();
    const epoch = Math.floor(position.step / stepsPerEpoch);
    const within = position.step % stepsPerEpoch;
    if (orderOf !== epoch) {
      order = epochOrder(training.length, settings.seed, epoch);
      orderOf = epoch;
    }
    const items = await training.take(order.slice(within * settings.batch, (within + 1) * settings.batch));
    for (const [i, item] of items.entries()) {
      inputs.put(i, item);
      augment(inputs.slots[i] ?? [], item.id, epoch);
    }
    const batch: Batch = { items, inputs: inputs.tensors, step: position.step, epoch };
    const loss = await step.run([...inputs.tensors, ...(await objective.feeds(batch))]);
    const rate = learningRate(settings.schedule, settings.optimizer.rate, position.step, steps, epoch);
    const view: StepView = {
      ...{ step: position.step, steps, epoch, learningRate: rate, loss },
      ...{ weights: arrays, gradients: step.gradients, outputs: step.outputs },
    };
    for (const plugin of plugins) plugin.beforeUpdate?.(view);
    const norm = globalNorm(step.gradients.values());
    if (!Number.isFinite(loss) || !Number.isFinite(norm)) throw await options.notFinite(batch, loss, rate);
    const scale = clipScale(norm, settings.clipNorm);
    for (const [name, gradient] of step.gradients) {
      const decay = setup.decaying.has(name) ? settings.optimizer.weightDecay : 0;
      const kept = slots.get(name) as readonly Float32Array[];
      setup.optimizer.update(arrays.get(name) as Float32Array, gradient, kept, {
        rate,
        decay,
        scale,
        step: position.step,
      });
    }
    step.updateStatistics(arrays);
    for (const plugin of plugins) plugin.afterUpdate?.(view);
    const firstLoss = position.firstLoss ?? loss;
    const smoothLoss = position.firstLoss === null ? loss : MEMORY * position.smoothLoss + (1 - MEMORY) * loss;
    if (smoothLoss > DIVERGED * (firstLoss + 1)) throw diverged(position.step, epoch, loss, firstLoss, rate);
    const done = position.step + 1;
    const epochEnd = within === stepsPerEpoch - 1;
    position = {
      ...{ ...position, step: done, firstLoss, smoothLoss, lossSum: position.lossSum + loss, done: done === steps },
      seconds: position.seconds + (performance.now() - startMs) / 1000,
    };
    if (epochEnd) {
      const tuned = tuning ? await tuning.evaluate(signal) : null;
      position = endOfEpoch(position, options, { epoch, rate, tuning: tuned, startMs });
    }
    progress.update(done, note(epoch, settings.epochs, loss, position.curve.at(-1)));
    await options.afterStep(position, epochEnd);
  }
  progress.stop();
  return position;
}

/** Adds a point to the curve, keeps the weights when they are the best, and says whether it is time to stop. */
function endOfEpoch(
  position: Position,
  { request, setup, best }: LoopOptions,
  { epoch, rate, tuning }: { epoch: number; rate: number; tuning: number | null; startMs: number },
): Position {
  const { settings, stepsPerEpoch, arrays } = setup;
  const point: CurvePoint = {
    ...{ epoch, steps: position.step, learningRate: rate, loss: position.lossSum / stepsPerEpoch, tuning },
    seconds: position.seconds,
  };
  const next = { ...position, curve: [...position.curve, point], lossSum: 0, seconds: 0 };
  if (settings.patience === undefined || tuning === null) return next;
  const higher = metricOf(request.workload).better === 'higher';
  const before = position.best;
  if (!before || (higher ? tuning > before.value : tuning < before.value)) {
    for (const [name, values] of best) values.set(arrays.get(name) as Float32Array);
    return { ...next, best: { epoch, value: tuning } };
  }
  return { ...next, done: next.done || epoch - before.epoch >= settings.patience };
}

function note(epoch: number, epochs: number, loss: number, last: CurvePoint | undefined): string {
  const tuning = last?.tuning === null || last === undefined ? '' : `, tuning ${last.tuning.toFixed(4)}`;
  return `epoch ${epoch + 1}/${epochs}, loss ${loss.toPrecision(4)}${tuning}`;
}

function diverged(step: number, epoch: number, loss: number, first: number, rate: number): TierbedError {
  return new TierbedError(
    'invalid',
    `training diverges: at step ${step} (epoch ${epoch + 1}) the loss is ${loss.toPrecision(4)}, and it was ` +
      `${first.toPrecision(4)} at first; the learning rate is ${rate.toPrecision(3)}`,
    { fix: 'Lower the rate, warm up (`warmupSteps`), or clip gradients (`clipNorm: 1`).' },
  );
}
