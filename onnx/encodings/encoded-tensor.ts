import { TierbedError } from '../../base/errors.js';
import { DATA_TYPE, dtypeOf } from '../model.js';
import { type DenseTensor, ELEMENT_BYTES, elementCount } from '../tensor.js';
import { type EncodingChain, openChain } from './chain.js';
import type { EncodedRange } from './encoding.js';
import { fp32 } from './fp32.js';
import { bytesByCode, elementsByCode } from './index.js';

/**
 * An encoded tensor says itself what it is. All numbers are little-endian.
 *
 * | offset      | bytes | what                                                          |
 * | ----------- | ----- | ------------------------------------------------------------- |
 * | 0           | 3     | 'TBE'                                                         |
 * | 3           | 1     | version, 1                                                    |
 * | 4           | 1     | code of the encoding of elements                              |
 * | 5           | 1     | code of the encoding of bytes, 0 for none                     |
 * | 6           | 1     | the tensor's type, as TensorProto.DataType                    |
 * | 7           | 1     | its rank                                                      |
 * | 8           | 4 x r | its dimensions, uint32                                        |
 * | 8 + 4r      | 4     | length of the parameters, uint32                              |
 * | 12 + 4r     | p     | parameters of the encoding of elements (scales, zero points)  |
 * | 12 + 4r + p |       | the payload, to the end                                       |
 */
const MAGIC = [0x54, 0x42, 0x45] as const;
const VERSION = 1;
const FIXED_BYTES = 8;
const MAX_RANK = 32;

/** Nothing larger is made of an encoded tensor: what the data plane takes as a message. */
export const MAX_DECODED_BYTES = 2 ** 30;

/** @param range of the tensor, calibrated beforehand; undefined: where one is needed, that of its elements */
export function encodeTensor(tensor: DenseTensor, chain: EncodingChain, range?: EncodedRange): Uint8Array {
  const { elements, bytes } = openChain(chain);
  const { encoding, options } = elements.encoding.takes(tensor.dtype) ? elements : { encoding: fp32, options: {} };
  const { parameters, payload } = encoding.encode(tensor, options, range);
  const packed = bytes ? bytes.encoding.encode(payload, bytes.options) : payload;
  const { dtype, shape } = tensor;
  const headBytes = FIXED_BYTES + 4 * shape.length + 4;
  const result = new Uint8Array(headBytes + parameters.length + packed.length);
  result.set([...MAGIC, VERSION, encoding.code, bytes?.encoding.code ?? 0, DATA_TYPE[dtype], shape.length]);
  const view = new DataView(result.buffer);
  for (const [i, dim] of shape.entries()) view.setUint32(FIXED_BYTES + 4 * i, dim, true);
  view.setUint32(headBytes - 4, parameters.length, true);
  result.set(parameters, headBytes);
  result.set(packed, headBytes + parameters.length);
  return result;
}

/** What must come out of an encoded tensor; a dimension that is a text may be any. */
export interface Expected {
  readonly dtype: string;
  readonly shape: readonly (number | string)[];
}

/**
 * The tensor that was encoded. Nothing is made of it before its header fits, so that a small hostile message never grows
 * into a large heap.
 *
 * @param expected what the taker needs; undefined: anything
 * @throws TierbedError `invalid` when the bytes are damaged, of another version, or something else than was expected
 */
export function decodeTensor(encoded: Uint8Array, expected?: Expected): DenseTensor {
  const { dtype, shape, encoding, packing, parameters, packed } = parsed(encoded);
  if (expected && !(expected.dtype === dtype && fits(shape, expected.shape))) {
    const got = `${dtype} [${shape.join(', ')}]`;
    throw damaged(`it is ${got} where ${expected.dtype} [${expected.shape.join(', ')}] is needed`);
  }
  const length = encoding.payloadBytes(dtype, elementCount(shape));
  const payload = packing ? packing.decode(packed, length) : packed;
  if (payload.length !== length) throw damaged(`${payload.length} bytes of elements, where there must be ${length}`);
  return encoding.decode(dtype, shape, { parameters, payload });
}

function parsed(encoded: Uint8Array) {
  const view = new DataView(encoded.buffer, encoded.byteOffset, encoded.byteLength);
  if (encoded.length < FIXED_BYTES + 4 || MAGIC.some((byte, i) => encoded[i] !== byte)) {
    throw damaged('it does not begin as one');
  }
  const [version, elements, bytes, type, rank] = encoded.subarray(3, FIXED_BYTES) as unknown as number[];
  if (version !== VERSION) throw damaged(`its version is ${version}, and this Tierbed knows ${VERSION}`);
  const encoding = elementsByCode(elements as number);
  const packing = bytes === 0 ? undefined : bytesByCode(bytes as number);
  if (!encoding || (bytes !== 0 && !packing)) throw damaged(`its encoding ${elements}, ${bytes} is not known`);
  const dtype = dtypeOf(type as number);
  if (dtype === undefined || dtype === 'string') throw damaged(`its type ${type} is not known`);
  if (encoding !== fp32 && !encoding.takes(dtype)) throw damaged(`${encoding.name} does not encode ${dtype}`);
  if ((rank as number) > MAX_RANK) throw damaged(`it has ${rank} dimensions`);
  const parametersAt = FIXED_BYTES + 4 * (rank as number) + 4;
  if (encoded.length < parametersAt) throw damaged('it ends in its header');
  const shape = Array.from({ length: rank as number }, (_, i) => view.getUint32(FIXED_BYTES + 4 * i, true));
  const size = elementCount(shape) * ELEMENT_BYTES[dtype];
  if (!(size <= MAX_DECODED_BYTES)) throw damaged(`its shape [${shape.join(', ')}] is larger than may be sent`);
  const payloadAt = parametersAt + view.getUint32(parametersAt - 4, true);
  if (payloadAt > encoded.length) throw damaged('it ends in its parameters');
  const parameters = encoded.subarray(parametersAt, payloadAt);
  return { dtype, shape, encoding, packing, parameters, packed: encoded.subarray(payloadAt) };
}

function fits(shape: readonly number[], expected: readonly (number | string)[]): boolean {
  return shape.length === expected.length && expected.every((dim, i) => typeof dim === 'string' || dim === shape[i]);
}

function damaged(what: string): TierbedError {
  return new TierbedError('invalid', `this is no encoded tensor, or a damaged one: ${what}`, {
    fix: 'Run the same version of Tierbed on every node, and send this stage what the stage before it gave.',
  });
}
