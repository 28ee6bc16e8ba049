import { TierbedError } from '../../base/errors.js';
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
