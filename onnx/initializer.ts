import { TierbedError } from '../base/errors.js';
import { dataTypeName } from './data-types.js';
import { readExternal } from './external.js';
import { dtypeOf, type Initializer } from './model.js';
import { denseTensor, elementCount, type Tensor } from './tensor.js';

/** Number of elements. */
export function initializerElements(initializer: Initializer): number {
  return elementCount(initializer.dims);
}

/**
 * The raw little-endian bytes of a tensor: a view where they are in memory, read from their file where they are not.
 *
 * @throws TierbedError `invalid` for a tensor of strings, `missing` when the external file has gone
 */
export function initializerBytes(initializer: Initializer): Uint8Array {
  const { data } = initializer;
  if (data.kind === 'raw') return data.bytes;
  if (data.kind === 'external') return readExternal(data);
  throw new TierbedError('invalid', `tensor ${initializer.name} holds strings, which have no raw bytes`);
}

/**
 * An initializer as a tensor.
 *
 * @throws TierbedError `invalid` for an element type that tensors do not have (complex, 8- and 4-bit floats...)
 */
export function initializerTensor(initializer: Initializer): Tensor {
  const dtype = dtypeOf(initializer.dataType);
  if (dtype === undefined) {
    throw new TierbedError('invalid', `tensor ${initializer.name} is ${dataTypeName(initializer.dataType)}`, {
      fix: 'convert it to a type that the Open Inference Protocol has',
    });
  }
  const shape = initializer.dims;
  if (dtype !== 'string') return denseTensor(dtype, shape, initializerBytes(initializer));
  if (initializer.data.kind !== 'strings')
    throw new TierbedError('invalid', `tensor ${initializer.name} has no strings`);
  return { dtype, shape, data: initializer.data.values };
}
