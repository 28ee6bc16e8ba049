import { TierbedError } from '../../../base/errors.js';
import { type DType, denseTensor, ELEMENT_BYTES, elementCount, type Tensor } from '../../../onnx/tensor.js';
import { DEFAULT_MAX_MESSAGE_BYTES, MAX_STRINGS } from '../limits.js';
import { DATATYPE_OF } from './datatypes.js';
import { FIXED32, FIXED64, LENGTH, malformed, VARINT, WireReader } from './wire.js';

/** Fields of InferTensorContents by number. */
const FIELDS = [
  'bool_contents',
  'int_contents',
  'int64_contents',
  'uint_contents',
  'uint64_contents',
  'fp32_contents',
  'fp64_contents',
  'bytes_contents',
] as const;

/** Number of the field that a data type's elements are in; FP16 and BF16 have none. */
const FIELD_OF: Readonly<Partial<Record<DType, number>>> = {
  bool: 1,
  int8: 2,
  int16: 2,
  int32: 2,
  int64: 3,
  uint8: 4,
  uint16: 4,
  uint32: 4,
  uint64: 5,
  float32: 6,
  float64: 7,
  string: 8,
};

const FIXED_BYTES: Readonly<Record<number, number>> = { 6: 4, 7: 8 };
const INT32_RANGE: Readonly<Partial<Record<DType, readonly [number, number]>>> = {
  int8: [-0x80, 0x7f],
  int16: [-0x8000, 0x7fff],
  uint8: [0, 0xff],
  uint16: [0, 0xffff],
};

/** A message may hold one element in many pieces, packed or not: more of them than this is no honest encoding. */
const MAX_PIECES = 2 ** 24;

/**
 * One InferTensorContents: the pieces of each field as they lie in the message, and the tensor that they make.
 * Packed and unpacked forms may be mixed, as protobuf's encoding allows.
 */
export class TypedContents {
  readonly #pieces = new Map<number, Uint8Array[]>();

  get empty(): boolean {
    return this.#pieces.size === 0;
  }

  /** Takes the fields of one InferTensorContents; a second one is merged into the first, as protobuf has it. */
  read(reader: WireReader): void {
    while (!reader.done) {
      const tag = reader.tag();
      const number = tag >>> 3;
      const wireType = tag & 7;
      if (number > FIELDS.length) {
        reader.skip(tag);
        continue;
      }
      const fixed = FIXED_BYTES[number];
      if (wireType === LENGTH) this.#add(number, reader.bytes());
      else if (number === 8) throw malformed(`bytes_contents has wire type ${wireType}`);
      else if (fixed && wireType === (fixed === 4 ? FIXED32 : FIXED64)) this.#add(number, reader.fixed(fixed));
      else if (!fixed && wireType === VARINT) this.#add(number, reader.varintView());
      else throw malformed(`${FIELDS[number - 1]} has wire type ${wireType}`);
    }
  }

  /**
   * The tensor that these contents make: a view of the message for float32, float64 and strings, else a new buffer.
   *
   * @throws TierbedError `invalid` when they are in another field than the type's, too many or too few, or out of range
   */
  tensor(dtype: DType, shape: readonly number[]): Tensor {
    const number = FIELD_OF[dtype];
    const count = elementCount(shape);
    if (number === undefined) {
      if (this.empty && count === 0) return denseTensor(dtype as 'float16', shape, new Uint8Array(0));
      throw new TierbedError('invalid', `${DATATYPE_OF[dtype]} has no typed contents`, {
        fix: 'send it in raw contents',
      });
    }
    for (const other of this.#pieces.keys()) {
      if (other !== number) {
        throw new TierbedError(
          'invalid',
          `${DATATYPE_OF[dtype]} elements are in ${FIELDS[other - 1]}, not in ${FIELDS[number - 1]}`,
          { fix: `put them into ${FIELDS[number - 1]}` },
        );
      }
    }
    const pieces = this.#pieces.get(number) ?? [];
    if (dtype === 'string') {
      if (pieces.length !== count) throw wrongCount(pieces.length, count, shape);
      if (count > MAX_STRINGS) throw malformed(`${count} BYTES elements, more than ${MAX_STRINGS}`);
      return { dtype, shape, data: pieces };
    }
    if (FIXED_BYTES[number]) {
      return denseTensor(dtype, shape, pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces));
    }
    return denseTensor(dtype, shape, varints(dtype, pieces, count, shape));
  }

  #add(number: number, piece: Uint8Array): void {
    const pieces = this.#pieces.get(number);
    if (!pieces) this.#pieces.set(number, [piece]);
    else if (pieces.length >= MAX_PIECES) throw malformed(`${FIELDS[number - 1]} in more than ${MAX_PIECES} pieces`);
    else pieces.push(piece);
  }
}

/** Decodes `count` varints into little-endian elements. */
function varints(
  dtype: Exclude<DType, 'string'>,
  pieces: readonly Uint8Array[],
  count: number,
  shape: readonly number[],
): Uint8Array {
  const size = ELEMENT_BYTES[dtype];
  const given = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
  // A varint takes at least one byte: no allocation that the message does not pay for.
  if (count > given) throw wrongCount(countVarints(pieces), count, shape);
  if (count * size > DEFAULT_MAX_MESSAGE_BYTES) throw malformed(`typed contents of ${count} elements`);
  const bytes = Buffer.allocUnsafe(count * size);
  const range = INT32_RANGE[dtype];
  let index = 0;
  for (const piece of pieces) {
    const reader = new WireReader(piece);
    while (!reader.done) {
      if (index >= count) throw wrongCount(countVarints(pieces), count, shape);
      const at = index++ * size;
      if (size === 8) bytes.writeBigUInt64LE(reader.varint(), at);
      else if (dtype === 'bool') bytes[at] = reader.bool() ? 1 : 0;
      else {
        const value = reader.low32();
        if (range && (value < range[0] || value > range[1])) {
          throw new TierbedError(
            'invalid',
            `element ${index - 1} is ${value}, which ${DATATYPE_OF[dtype]} cannot hold`,
          );
        }
        if (size === 4) bytes.writeInt32LE(value, at);
        else if (size === 2) bytes.writeUInt16LE(value & 0xffff, at);
        else bytes[at] = value & 0xff;
      }
    }
  }
  if (index !== count) throw wrongCount(index, count, shape);
  return bytes;
}

function countVarints(pieces: readonly Uint8Array[]): number {
  let count = 0;
  for (const piece of pieces) for (const byte of piece) if (byte < 0x80) count++;
  return count;
}

function wrongCount(given: number, count: number, shape: readonly number[]): TierbedError {
  return new TierbedError('invalid', `${given} elements where shape [${shape.join(', ')}] takes ${count}`);
}
