import { TierbedError } from '../../base/errors.js';
import { type DenseTensor, elementCount } from '../../onnx/tensor.js';
import { type Conversion, converted, GIVEN } from './converted.js';
import type { NpyHeader } from './npy-format.js';

/** How an array's items become a model's input. */
export interface ArraySpec {
  /** The model's input for one item; one item of the array, as a batch of one, unless said otherwise. */
  readonly shape?: readonly number[];
  /** The type that the model takes; that of the array unless said otherwise. */
  readonly dtype?: Conversion['dtype'];
  /** Given value = (stored - offset) * scale; 0 and 1 unless said otherwise. With one of them float32, unless `dtype` says otherwise. */
  readonly offset?: number;
  readonly scale?: number;
}

/** JSON Schema of an `ArraySpec`'s properties. */
export const arrayProperties = {
  shape: { type: 'array', items: { type: 'integer', minimum: 1 } },
  dtype: { enum: GIVEN },
  offset: { type: 'number' },
  scale: { type: 'number' },
};

/** The items of an array. */
export interface ArrayItems {
  readonly count: number;
  /** Bytes of one item in the file. */
  readonly itemBytes: number;
  /** What is read of one item as the model takes it. */
  tensor(data: Uint8Array): DenseTensor;
}

/** @param what names the array in errors. @throws TierbedError `invalid` when it holds text, nothing, or another shape's items */
export function arrayItems(header: NpyHeader, spec: ArraySpec, what: string): ArrayItems {
  const { dtype: stored, elementBytes } = header;
  const [count = 0, ...rest] = header.shape;
  const elements = elementCount(rest);
  if (stored === 'text') throw new TierbedError('invalid', `${what} holds text, which is no input of a model`);
  if (count === 0 || elements === 0) {
    throw new TierbedError('invalid', `${what} has the shape [${header.shape.join(', ')}]: nothing is in it`);
  }
  const { shape = [1, ...rest], dtype, offset, scale } = spec;
  if (elementCount(shape) !== elements) {
    throw new TierbedError('invalid', `${what} has items of [${rest.join(', ')}], which cannot be [${shape.join(', ')}]`, {
      fix: `Give a shape of ${elements} elements, or none.`,
    });
  }
  const given = dtype ?? (offset === undefined && scale === undefined ? undefined : 'float32');
  const conversion = given && { dtype: given, ...(offset !== undefined && { offset }), ...(scale !== undefined && { scale }) };
  return {
    count,
    itemBytes: elements * elementBytes,
    tensor(data) {
      const tensor: DenseTensor = { dtype: stored, shape, data };
      return conversion ? converted(tensor, conversion) : tensor;
    },
  };
}
