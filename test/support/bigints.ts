import type { Tensor } from '../../onnx/tensor.js';

/** The elements of an int64 tensor as numbers. */
export function bigints({ data }: Pick<Tensor, 'data'>): number[] {
  return Array.from(new BigInt64Array(new Uint8Array(data as Uint8Array).buffer), Number);
}
