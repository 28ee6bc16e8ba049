import type { DenseTensor } from '../../onnx/tensor.js';

/** The elements of an int64 tensor as numbers. */
export function bigints({ data }: DenseTensor): number[] {
  return Array.from(new BigInt64Array(new Uint8Array(data).buffer), Number);
}
