import { TierbedError } from '../../../base/errors.js';

/** Protocol Buffers' wire types (protobuf.dev/programming-guides/encoding). */
export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH = 2;
export const FIXED32 = 5;
const START_GROUP = 3;
const END_GROUP = 4;
const MAX_GROUP_DEPTH = 64;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The error of a message that is not what its sender says it is. */
export function malformed(what: string): TierbedError {
  return new TierbedError('invalid', `malformed message: ${what}`, {
    fix: 'send a message of the Open Inference Protocol v2',
  });
}

/**
 * Reads the fields of one protobuf message out of a buffer without copying.
 *
 * Every method throws TierbedError `invalid` rather than read past the end.
 */
export class WireReader {
  readonly buffer: Uint8Array;
  readonly #end: number;
  #at: number;
  readonly #view: DataView;

  constructor(buffer: Uint8Array, start = 0, end = buffer.length) {
    this.buffer = buffer;
    this.#at = start;
    this.#end = end;
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  }

  get done(): boolean {
    return this.#at >= this.#end;
  }

  /** The next field's `number << 3 | wire type`. */
  tag(): number {
    const tag = this.size('a tag');
    if (tag >>> 3 === 0) throw malformed('field number 0');
    return tag;
  }

  /** A varint that must fit in 32 bits without sign: a tag, a length. */
  size(what = 'a length'): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#byte();
      const bits = byte & 0x7f;
      if (bits && shift >= 28 && (shift > 28 || bits > 0x0f)) throw malformed(`${what} of more than 32 bits`);
      if (shift < 35) value += bits * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw malformed('a varint of more than 10 bytes');
  }

  /** The 64 bits of a varint, without sign. */
  varint(): bigint {
    let low = 0;
    let middle = 0;
    let high = 0;
    for (let index = 0; index < 10; index++) {
      const byte = this.#byte();
      const bits = byte & 0x7f;
      if (index < 4) low |= bits << (7 * index);
      else if (index < 8) middle |= bits << (7 * (index - 4));
      else high |= bits << (7 * (index - 8));
      if (byte < 0x80) {
        // Most numbers on the wire are small.
        if (index < 4) return BigInt(low);
        return BigInt.asUintN(64, BigInt(low) | (BigInt(middle) << 28n) | (BigInt(high) << 56n));
      }
    }
    throw malformed('a varint of more than 10 bytes');
  }

  int64(): bigint {
    return BigInt.asIntN(64, this.varint());
  }

  /** A varint as a number, where the low 32 bits are what counts (int32, uint32, bool). */
  low32(): number {
    let value = 0;
    for (let index = 0; index < 10; index++) {
      const byte = this.#byte();
      if (index < 5) value |= (byte & 0x7f) << (7 * index);
      if (byte < 0x80) return value;
    }
    throw malformed('a varint of more than 10 bytes');
  }

  /** A view of the bytes of one varint. */
  varintView(): Uint8Array {
    const start = this.#at;
    this.low32();
    return this.buffer.subarray(start, this.#at);
  }

  bool(): boolean {
    return this.varint() !== 0n;
  }

  double(): number {
    const at = this.#skip(8);
    return this.#view.getFloat64(at, true);
  }

  /** A view of a length-delimited field's content. */
  bytes(): Uint8Array {
    const length = this.size();
    const at = this.#skip(length);
    return this.buffer.subarray(at, at + length);
  }

  /** A view of the next `length` bytes. */
  fixed(length: number): Uint8Array {
    const at = this.#skip(length);
    return this.buffer.subarray(at, at + length);
  }

  string(what: string): string {
    const bytes = this.bytes();
    try {
      return utf8.decode(bytes);
    } catch {
      throw malformed(`${what} is not UTF-8`);
    }
  }

  /** A reader of a length-delimited field's content. */
  message(): WireReader {
    const length = this.size();
    const at = this.#skip(length);
    return new WireReader(this.buffer, at, at + length);
  }

  /** Passes over a field that this schema does not know. */
  skip(tag: number, depth = 0): void {
    switch (tag & 7) {
      case VARINT:
        this.varint();
        return;
      case FIXED64:
        this.#skip(8);
        return;
      case LENGTH:
        this.#skip(this.size());
        return;
      case FIXED32:
        this.#skip(4);
        return;
      case START_GROUP:
        if (depth >= MAX_GROUP_DEPTH) throw malformed(`groups nested deeper than ${MAX_GROUP_DEPTH}`);
        for (;;) {
          const inner = this.tag();
          if ((inner & 7) === END_GROUP) {
            if (inner >>> 3 !== tag >>> 3) throw malformed('a group that another one ends');
            return;
          }
          this.skip(inner, depth + 1);
        }
      default:
        throw malformed(`wire type ${tag & 7} in field ${tag >>> 3}`);
    }
  }

  #byte(): number {
    if (this.#at >= this.#end) throw malformed('it ends in the middle of a field');
    return this.buffer[this.#at++] as number;
  }

  #skip(length: number): number {
    const at = this.#at;
    if (length > this.#end - at) {
      throw malformed(`a field of ${length} bytes where ${this.#end - at} are left`);
    }
    this.#at = at + length;
    return at;
  }
}

/** Bytes that a varint takes. */
export function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

/** Collects small protobuf fields; it grows as needed. */
export class WireWriter {
  #buffer: Buffer = Buffer.allocUnsafe(512);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What was written so far; the writer must not be used after. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** A whole number in 0..2^53-1 as a varint. */
  varint(value: number): this {
    this.#reserve(8);
    let rest = value;
    while (rest >= 128) {
      this.#buffer[this.#length++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.#buffer[this.#length++] = rest;
    return this;
  }

  /** 64 bits, with or without sign, as a varint. */
  varint64(value: bigint): this {
    this.#reserve(10);
    let rest = BigInt.asUintN(64, value);
    while (rest >= 128n) {
      this.#buffer[this.#length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#buffer[this.#length++] = Number(rest);
    return this;
  }

  double(value: number): this {
    this.#reserve(8);
    this.#length = this.#buffer.writeDoubleLE(value, this.#length);
    return this;
  }

  tag(field: number, wireType: number): this {
    return this.varint(field * 8 + wireType);
  }

  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  bytes(field: number, bytes: Uint8Array): this {
    return this.tag(field, LENGTH).varint(bytes.length).raw(bytes);
  }

  /** Left out when empty, as proto3 has it. */
  string(field: number, text: string | undefined): this {
    return text ? this.bytes(field, Buffer.from(text, 'utf8')) : this;
  }

  /** A submessage; `write` fills it. */
  message(field: number, write: (writer: WireWriter) => void): this {
    const inner = new WireWriter();
    write(inner);
    return this.bytes(field, inner.finish());
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + bytes));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}
