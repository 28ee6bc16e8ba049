import { type DenseTensor, float32Tensor } from '../../onnx/tensor.js';
import { elementReader } from '../elements.js';

/** The element types that stored numbers can be turned into. */
export const GIVEN = ['float32', 'int32', 'int64'] as const;

export interface Conversion {
  /** The type that the model takes. */
  readonly dtype: (typeof GIVEN)[number];
  /** Given value = (stored - offset) * scale; 0 and 1 unless said otherwise. */
  readonly offset?: number;
  readonly scale?: number;
}

/** Stored numbers as the model takes them, in the same shape. */
export function converted(stored: DenseTensor, { dtype, offset = 0, scale = 1 }: Conversion): DenseTensor {
  const { shape } = stored;
  const { count, at } = elementReader(stored);
  const value = (i: number): number => (at(i) - offset) * scale;
  if (dtype === 'float32') {
    const values = new Float32Array(count);
    for (let i = 0; i < count; i++) values[i] = value(i);
    return float32Tensor(shape, values);
  }
  const values = dtype === 'int32' ? new Int32Array(count) : new BigInt64Array(count);
  for (let i = 0; i < count; i++) values[i] = dtype === 'int32' ? value(i) : BigInt(Math.trunc(value(i)));
  return { dtype, shape, data: new Uint8Array(values.buffer) };
}
