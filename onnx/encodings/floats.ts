import { TierbedError } from '../../base/errors.js';
import { float16ToFloat32, float32ToFloat16 } from '../half.js';
import { type DenseTensor, denseTensor, float32Tensor, float32Values } from '../tensor.js';

/** A tensor's elements in single precision. @throws TierbedError `internal` for a type without a rule */
export function singles(tensor: DenseTensor): Float32Array {
  switch (tensor.dtype) {
    case 'float32':
      return float32Values(tensor);
    case 'float64':
      return Float32Array.from(new Float64Array(aligned(tensor.data, 8)));
    case 'float16':
      return float16ToFloat32(new Uint16Array(aligned(tensor.data, 2)));
    default:
      throw new TierbedError('internal', `${tensor.dtype} has no rule for single precision`);
  }
}

/** The other way round; `values` are not to be used afterwards. @throws TierbedError `internal` as `singles` */
export function fromSingles(dtype: DenseTensor['dtype'], shape: readonly number[], values: Float32Array): DenseTensor {
  switch (dtype) {
    case 'float32':
      return float32Tensor(shape, values);
    case 'float64':
      return denseTensor(dtype, shape, new Uint8Array(Float64Array.from(values).buffer));
    case 'float16':
      return denseTensor(dtype, shape, new Uint8Array(float32ToFloat16(values).buffer));
    default:
      throw new TierbedError('internal', `${dtype} has no rule for single precision`);
  }
}

/** The bytes in a buffer of their own, or in the one that they fill. */
export function aligned(bytes: Uint8Array, elementBytes: number): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = bytes;
  if (buffer instanceof ArrayBuffer && byteOffset === 0 && byteLength === buffer.byteLength) return buffer;
  if (byteLength % elementBytes !== 0) {
    throw new TierbedError('invalid', `${byteLength} bytes are no whole number of elements of ${elementBytes} bytes`);
  }
  return new Uint8Array(bytes).buffer;
}
