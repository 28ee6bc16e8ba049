import { messageOf, TierbedError } from '../../base/errors.js';
import type { NamedTensor } from '../../onnx/tensor.js';
import { findOrigin, type Origin } from './not-finite.js';
import type { Setup } from './setup.js';
import type { Batch } from './types.js';

/** What a step came to. */
export interface StepNumbers {
  readonly loss: number;
  /** Of all gradients together. */
  readonly norm: number;
  /** The learning rate. */
  readonly rate: number;
}

const CALMER = 'Lower the rate, warm up (`warmupSteps`), or clip gradients (`clipNorm: 1`).';

/** Where a training is when it is looked at behind an epoch. */
interface EpochEnd {
  /** Steps taken. */
  readonly step: number;
  /** From 1. */
  readonly epoch: number;
  /** The learning rate. */
  readonly rate: number;
}

/** A number for people. */
export const short = (value: number): string => String(Number(value.toPrecision(4)));

export function cancelled(step: number, steps: number): TierbedError {
  return new TierbedError('cancelled', `training was cancelled at step ${step} of ${steps}`, {
    fix: 'Run again: training goes on from its checkpoint.',
  });
}

/** @param first the loss of the first step */
export function diverged({ step, epoch }: Batch, { loss, rate }: StepNumbers, first: number): TierbedError {
  return new TierbedError(
    'invalid',
    `training diverges: at step ${step + 1} (epoch ${epoch + 1}) the loss is ${short(loss)}, and it was ` +
      `${short(first)} at first; the learning rate is ${short(rate)}`,
    { fix: CALMER },
  );
}

/**
 * Losses may stay finite while something else does not: BatchNormalization takes the size out of weights that explode, and
 * running statistics are of the explosion.
 *
 * @param array the name of a weight or a running statistic
 */
export function brokenArray(array: string, end: EpochEnd): TierbedError {
  return behindEpoch(end, `${array} is not finite any more`);
}

/** @param error why the tuning part has no value, or the value, which is no finite number */
export function brokenTuning(error: unknown, end: EpochEnd): TierbedError {
  if (typeof error === 'number') return behindEpoch(end, `the metric on the tuning part is ${error}`);
  const { kind, fix } = error instanceof TierbedError ? error : {};
  const found = behindEpoch(end, `on the tuning part, ${messageOf(error)}`);
  return new TierbedError(kind ?? 'invalid', found.message, { fix: fix ?? CALMER, cause: error });
}

function behindEpoch({ step, epoch, rate }: EpochEnd, what: string): TierbedError {
  return new TierbedError(
    'invalid',
    `training stops behind step ${step} (epoch ${epoch}): ${what}; the learning rate is ${short(rate)}`,
    { fix: CALMER },
  );
}

/** What to throw when the loss or a gradient is no finite number: with where that begins. */
export async function notFinite(
  { graph, arrays, given, threads }: Setup,
  { items, step, epoch }: Batch,
  feeds: readonly NamedTensor[],
  { loss, norm, rate }: StepNumbers,
): Promise<TierbedError> {
  const weights = new Map([...arrays].filter(([name]) => given.has(name)));
  const origin = await findOrigin(graph, weights, feeds, threads);
  const what = Number.isFinite(loss)
    ? `the loss is ${short(loss)} and the gradients' norm ${norm}`
    : `the loss is ${loss}`;
  const input = origin.kind === 'input' ? ` Look at the items ${items.map(({ id }) => id).join(', ')}.` : '';
  return new TierbedError(
    'invalid',
    `training stops at step ${step + 1} (epoch ${epoch + 1}): ${what}; the learning rate is ${short(rate)}; ` +
      `first not finite: ${originText(origin)}`,
    { fix: CALMER + input },
  );
}

function originText(origin: Origin): string {
  switch (origin.kind) {
    case 'weight':
      return `the weight ${origin.name}, as the step before left it`;
    case 'input':
      return `the input ${origin.name}`;
    case 'node': {
      const { node, tensor, pass } = origin;
      return `${tensor} of the node ${node.name || tensor} (${node.opType}), in the ${pass} pass`;
    }
    case 'unknown':
      return 'not found again when the step was run with all its tensors in sight';
  }
}
