import { metricOf } from '../../workloads/metrics/index.js';
import { Batches } from './batches.js';
import { clipScale, globalNorm } from './global-norm.js';
import type { Position } from './position.js';
import { learningRate } from './schedule.js';
import type { Setup } from './setup.js';
import type { TrainingStep } from './step.js';
import { brokenArray, brokenTuning, cancelled, diverged, notFinite, short } from './stopped.js';
import type { Tuning } from './tuning.js';
import type { CurvePoint, StepView, TrainRequest } from './types.js';

/** What the loop works with, and tells of itself. */
export interface LoopOptions {
  readonly request: TrainRequest;
  readonly setup: Setup;
  readonly step: TrainingStep;
  /** undefined: the data has no tuning part. */
  readonly tuning: Tuning | undefined;
  /** The best weights so far, of `patience`; empty without. */
  readonly best: ReadonlyMap<string, Float32Array>;
  /** Behind every step, and behind every epoch. */
  reached(position: Position): Promise<void>;
  /** The signal has come: the position is to be kept. */
  cut(position: Position): Promise<void>;
}

/** A loss is high when it is that many times what it was at first (and 1, for losses that begin at 0). */
const HIGH = 10;
/** Of the share of high losses among the last steps. */
const MEMORY = 0.9;
/** Training diverges when that share is above this: behind 14 high losses in a row, and not for a hard item now and then. */
const DIVERGED = 0.75;

/**
 * Trains from a position to the end.
 *
 * @throws TierbedError `cancelled` within one step of the signal; `invalid` when training diverges
 */
export async function trainFrom(start: Position, options: LoopOptions): Promise<Position> {
  const { request, setup } = options;
  const { progress, signal } = request;
  const batches = new Batches(request, setup);
  let position = start;
  while (!position.done) {
    if (signal.aborted) {
      await options.cut(position);
      throw cancelled(position.step, setup.steps);
    }
    // The steps of an epoch are taken, and it has no point yet: a training that was cut off here goes on here.
    const isFull = position.curve.length < Math.floor(position.step / setup.stepsPerEpoch);
    position = isFull ? await endEpoch(position, options) : await takeStep(position, batches, options);
    progress.update(position.step, note(position, setup));
    await options.reached(position);
  }
  return position;
}

async function takeStep(position: Position, batches: Batches, options: LoopOptions): Promise<Position> {
  const { request, setup, step } = options;
  const { objective, plugins = [] } = request;
  const { settings, arrays, slots, steps } = setup;
  const startMs = performance.now();
  const batch = await batches.at(position.step);
  const feeds = [...batch.inputs, ...(await objective.feeds(batch))];
  const loss = await step.run(feeds);
  const rate = learningRate(settings.schedule, settings.optimizer.rate, batch.step, steps, batch.epoch);
  const view: StepView = {
    ...{ step: batch.step, steps, epoch: batch.epoch, learningRate: rate, loss },
    ...{ weights: arrays, gradients: step.gradients, outputs: step.outputs },
  };
  for (const plugin of plugins) plugin.beforeUpdate?.(view);
  const norm = globalNorm(step.gradients.values());
  const numbers = { loss, norm, rate };
  if (!Number.isFinite(loss) || !Number.isFinite(norm)) throw await notFinite(setup, batch, feeds, numbers);
  const scale = clipScale(norm, settings.clipNorm);
  for (const [name, gradient] of step.gradients) {
    const decay = setup.decaying.has(name) ? settings.optimizer.weightDecay : 0;
    const kept = slots.get(name) as readonly Float32Array[];
    const weight = arrays.get(name) as Float32Array;
    setup.optimizer.update(weight, gradient, kept, { rate, decay, scale, step: batch.step });
  }
  step.updateStatistics(arrays);
  for (const plugin of plugins) plugin.afterUpdate?.(view);
  const firstLoss = position.firstLoss ?? loss;
  const highLosses = MEMORY * position.highLosses + (loss > HIGH * (firstLoss + 1) ? 1 - MEMORY : 0);
  if (highLosses > DIVERGED) throw diverged(batch, numbers, firstLoss);
  return {
    ...{ ...position, step: batch.step + 1, firstLoss, highLosses },
    lossSum: position.lossSum + loss,
    seconds: position.seconds + (performance.now() - startMs) / 1000,
  };
}

/** Adds a point to the curve, keeps the weights when they are the best, and says whether it is time to stop. */
async function endEpoch(position: Position, { request, setup, tuning, best, cut }: LoopOptions): Promise<Position> {
  const { settings, stepsPerEpoch, steps, arrays } = setup;
  const epoch = position.curve.length + 1;
  const rate = learningRate(settings.schedule, settings.optimizer.rate, position.step - 1, steps, epoch - 1);
  const at = { step: position.step, epoch, rate };
  const broken = [...arrays].find(([, values]) => !values.every(Number.isFinite));
  if (broken) throw brokenArray(broken[0], at);
  const value = tuning
    ? await tuning.evaluate(request.signal).catch((error: unknown) => {
        throw brokenTuning(error, at);
      })
    : null;
  if (value === undefined) {
    await cut(position);
    throw cancelled(position.step, steps);
  }
  if (value !== null && !Number.isFinite(value)) throw brokenTuning(value, at);
  const point: CurvePoint = {
    ...{ epoch, steps: position.step, learningRate: rate, loss: position.lossSum / stepsPerEpoch, tuning: value },
    seconds: position.seconds,
  };
  const curve = [...position.curve, point];
  const next = { ...position, curve, lossSum: 0, seconds: 0, done: position.step === steps };
  if (settings.patience === undefined || value === null) return next;
  if (request.plugins?.some(({ settled }) => settled?.(position.step, steps) === false)) return next;
  const higher = metricOf(request.workload).better === 'higher';
  const before = position.best;
  if (!before || (higher ? value > before.value : value < before.value)) {
    for (const [name, values] of best) values.set(arrays.get(name) as Float32Array);
    return { ...next, best: { epoch, value } };
  }
  return { ...next, done: next.done || epoch - before.epoch >= settings.patience };
}

function note({ step, lossSum, curve }: Position, { settings, stepsPerEpoch }: Setup): string {
  const last = curve.at(-1);
  const within = step % stepsPerEpoch;
  const loss = within === 0 ? last?.loss : lossSum / within;
  const epoch = Math.min(settings.epochs, Math.floor(step / stepsPerEpoch) + 1);
  const parts = [`epoch ${epoch} of ${settings.epochs}`];
  if (loss !== undefined) parts.push(`loss ${short(loss)}`);
  if (last && last.tuning !== null) parts.push(`tuning ${short(last.tuning)}`);
  return parts.join(', ');
}
