import { initializerBytes, initializerElements } from '../../../onnx/initializer.js';
import { DATA_TYPE, type Initializer, type Model } from '../../../onnx/model.js';
import { type FindReason, formatMs, formatShare, named, sumMs } from './reason.js';

const LEAST_SHARE = 0.4;
/** Smaller tensors are biases, scales and shapes. */
const LEAST_ELEMENTS = 256;

/** Bytes of one element of types in which zero is all bits zero: reals, and int8 as weights are quantised. */
const ZERO_BYTES: Readonly<Record<number, number>> = {
  [DATA_TYPE.float32]: 4,
  [DATA_TYPE.float16]: 2,
  [DATA_TYPE.int8]: 1,
};

/** Weights that were pruned to zero and are stored dense: dense kernels multiply zeros like everything else. */
export const zeros: FindReason = ({ variant }) => {
  const { zero, all } = countZeros(variant.model);
  const share = zero / all;
  const layers = variant.work.filter(({ macs }) => macs > 0);
  if (!(share >= LEAST_SHARE) || layers.length === 0) return undefined;
  const ms = sumMs(layers);
  return {
    reason: 'zeros',
    ms,
    says: `${formatShare(share)} of the weights are zero, and dense kernels multiply zeros as they do everything else: pruned like this, the model is not faster. ${formatMs(ms)} in layers that multiply.`,
    nodes: named(layers),
  };
};

/** Zeros among the elements of all tensors that are large enough to be weights of a layer. */
export function countZeros({ graph }: Model): { readonly zero: number; readonly all: number } {
  let [zero, all] = [0, 0];
  for (const initializer of graph.initializers) {
    const width = ZERO_BYTES[initializer.dataType];
    if (width === undefined || initializer.dims.length < 2 || initializerElements(initializer) < LEAST_ELEMENTS)
      continue;
    zero += zerosOf(initializer, width);
    all += initializerElements(initializer);
  }
  return { zero, all };
}

function zerosOf(initializer: Initializer, width: number): number {
  const bytes = initializerBytes(initializer);
  let found = 0;
  for (let at = 0; at < bytes.byteLength; at += width) {
    let i = 0;
    // The last byte has the sign: -0 is zero.
    while (i < width && (bytes[at + i] === 0 || (width > 1 && i === width - 1 && bytes[at + i] === 0x80))) i++;
    if (i === width) found++;
  }
  return found;
}
