import { TierbedError } from '../../base/errors.js';
import type { NamedTensor } from '../tensor.js';
import type { EncodingChain } from './chain.js';
import { decodeTensor, type Expected, encodeTensor } from './encoded-tensor.js';
import type { EncodedRange } from './encoding.js';

/** How the tensors between two stages are encoded. Plain data: it travels to the node of the first of them as JSON. */
export interface LinkEncoding {
  readonly chain: EncodingChain;
  /** By tensor, where ranges were calibrated. */
  readonly ranges?: Readonly<Record<string, EncodedRange>>;
}

/**
 * Encodes every tensor: each becomes a uint8 tensor of one dimension that says itself what it is. Strings stay as they
 * are; so do, inside, the elements of types that the chain does not take.
 *
 * @throws TierbedError `invalid` naming the tensor that the calibrated ranges do not fit
 */
export function encodeTensors(tensors: readonly NamedTensor[], { chain, ranges }: LinkEncoding): NamedTensor[] {
  return tensors.map(({ name, tensor }) => {
    if (tensor.dtype === 'string') return { name, tensor };
    const data = named(name, () => encodeTensor(tensor, chain, ranges?.[name]));
    return { name, tensor: { dtype: 'uint8', shape: [data.length], data } };
  });
}

/**
 * The other way round.
 *
 * @param expected by name what the tensors must be; of a name that it has not, anything
 * @throws TierbedError `invalid` naming the tensor that is not encoded, is damaged or is something else
 */
export function decodeTensors(
  tensors: readonly NamedTensor[],
  expected: readonly ({ readonly name: string } & Expected)[] = [],
): NamedTensor[] {
  return tensors.map(({ name, tensor }) => {
    if (tensor.dtype === 'string') return { name, tensor };
    if (tensor.dtype !== 'uint8' || tensor.shape.length !== 1) {
      const got = `${tensor.dtype} [${tensor.shape.join(', ')}]`;
      throw new TierbedError('invalid', `input "${name}" is ${got}, and this stage takes encoded tensors`, {
        fix: 'Send it what the stage before it gives: encoded as it was deployed.',
      });
    }
    const wanted = expected.find((info) => info.name === name);
    return { name, tensor: named(name, () => decodeTensor(tensor.data, wanted)) };
  });
}

function named<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof TierbedError) || error.kind !== 'invalid') throw error;
    const fix = error.fix === undefined ? {} : { fix: error.fix };
    throw new TierbedError('invalid', `tensor "${name}": ${error.message}`, { ...fix, cause: error });
  }
}
