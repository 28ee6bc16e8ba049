import { TierbedError } from '../base/errors.js';

/** Element types, named as ONNX names them in lower case (onnx.proto, TensorProto.DataType). */
export type DType =
  | 'float32'
  | 'float16'
  | 'bfloat16'
  | 'float64'
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'bool'
  | 'string';

/** Bytes of one element; strings have no fixed size and are not in the table. */
export const ELEMENT_BYTES: Readonly<Record<Exclude<DType, 'string'>, number>> = {
  float32: 4,
  float16: 2,
  bfloat16: 2,
  float64: 8,
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  uint64: 8,
  bool: 1,
};

/** A dense tensor of fixed-size elements: row-major, little-endian, as in ONNX `raw_data` and OIP `raw_input_contents`. */
export interface DenseTensor {
  readonly dtype: Exclude<DType, 'string'>;
  readonly shape: readonly number[];
  /** Exactly `elements(shape) * ELEMENT_BYTES[dtype]` bytes, often a view of a larger buffer: it need not be aligned. */
  readonly data: Uint8Array;
}

/** A tensor of byte strings (OIP `BYTES`): encoded pictures, text. */
export interface StringTensor {
  readonly dtype: 'string';
  readonly shape: readonly number[];
  readonly data: readonly Uint8Array[];
}

export type Tensor = DenseTensor | StringTensor;

/** A tensor with the name that it has in its graph. */
export interface NamedTensor {
  readonly name: string;
  readonly tensor: Tensor;
}

/** The number of elements of a shape; a scalar (`[]`) has one. */
export function elementCount(shape: readonly number[]): number {
  let n = 1;
  for (const d of shape) n *= d;
  return n;
}

/** Payload bytes of a tensor. */
export function byteLength(tensor: Tensor): number {
  if (tensor.dtype !== 'string') return tensor.data.byteLength;
  let n = 0;
  for (const item of tensor.data) n += item.byteLength;
  return n;
}

/**
 * Makes a tensor and checks that the bytes fit the shape.
 *
 * @throws TierbedError `invalid` when a dimension is negative or the byte count does not match
 */
export function denseTensor(dtype: Exclude<DType, 'string'>, shape: readonly number[], data: Uint8Array): DenseTensor {
  for (const d of shape) {
    if (!Number.isSafeInteger(d) || d < 0) {
      throw new TierbedError('invalid', `shape [${shape.join(', ')}] has a dimension that is not a whole number >= 0`);
    }
  }
  const want = elementCount(shape) * ELEMENT_BYTES[dtype];
  if (data.byteLength !== want) {
    throw new TierbedError(
      'invalid',
      `a ${dtype} tensor of shape [${shape.join(', ')}] takes ${want} bytes, got ${data.byteLength}`,
    );
  }
  return { dtype, shape, data };
}

/** A float32 tensor over the same memory as `values`. */
export function float32Tensor(shape: readonly number[], values: Float32Array): DenseTensor {
  return denseTensor('float32', shape, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

/** The elements of a float32 tensor: a view where the bytes are aligned, a copy where they are not. */
export function float32Values(tensor: Tensor): Float32Array {
  if (tensor.dtype !== 'float32') throw new TierbedError('invalid', `expected a float32 tensor, got ${tensor.dtype}`);
  const { buffer, byteOffset, byteLength } = tensor.data;
  if (byteOffset % 4 === 0) return new Float32Array(buffer, byteOffset, byteLength / 4);
  // Not `slice`: that of a Buffer copies nothing.
  return new Float32Array(new Uint8Array(tensor.data).buffer);
}
