import { createHash } from 'node:crypto';
import type { NamedTensor } from '../../onnx/tensor.js';

/**
 * The sha256, in hex, of all outputs: name, type, shape and bytes of each, in the model's order. Equal for equal bytes
 * alone, so it tells whether two placements answered bit for bit alike.
 */
export function digest(outputs: readonly NamedTensor[]): string {
  const hash = createHash('sha256');
  for (const { name, tensor } of outputs) {
    hash.update(`${JSON.stringify([name, tensor.dtype, tensor.shape])}\n`);
    for (const bytes of tensor.dtype === 'string' ? tensor.data : [tensor.data]) {
      hash.update(`${bytes.byteLength}:`).update(bytes);
    }
  }
  return hash.digest('hex');
}
