import { deflate } from './deflate.js';
import type { ByteEncoding, ElementEncoding, Encoding } from './encoding.js';
import { fp16 } from './fp16.js';
import { fp32 } from './fp32.js';
import { int8 } from './int8.js';

/** The encodings there are: a new one is a file here and an entry below. */
export const ENCODINGS: readonly Encoding[] = [fp32, fp16, int8, deflate];

/** An encoding by its name, or undefined. */
export function encodingNamed(name: string): Encoding | undefined {
  return ENCODINGS.find((encoding) => encoding.name === name);
}

/** The encoding of elements with this number in headers, or undefined. */
export function elementsByCode(code: number): ElementEncoding | undefined {
  return ENCODINGS.filter((encoding) => encoding.kind === 'elements').find((encoding) => encoding.code === code);
}

/** The encoding of bytes with this number in headers, or undefined. */
export function bytesByCode(code: number): ByteEncoding | undefined {
  return ENCODINGS.filter((encoding) => encoding.kind === 'bytes').find((encoding) => encoding.code === code);
}
