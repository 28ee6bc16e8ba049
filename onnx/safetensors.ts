import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { messageOf, TierbedError } from '../base/errors.js';
import { bfloat16ToFloat32, float16ToFloat32 } from './half.js';
import { elementCount } from './tensor.js';

/** Bits of one element, by the names that the format gives its types. */
const ELEMENT_BITS: Readonly<Record<string, number>> = {
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  I64: 64,
  U64: 64,
  F64: 64,
  C64: 64,
};

/** The format's own limit on the header (safetensors, MAX_HEADER_SIZE). */
const MAX_HEADER_BYTES = 100_000_000;

export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Where its bytes are in the file. */
  readonly offset: number;
  readonly bytes: number;
}

/**
 * A `.safetensors` file whose header was read and checked; elements are read when they are asked for.
 *
 * The format (huggingface/safetensors, README): the header's length as u64, the header as JSON, the elements; all
 * little-endian, without holes or overlaps.
 */
export interface SafetensorsFile {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Opens a `.safetensors` file: reads its header and checks every claim in it against the file's size.
 *
 * @throws TierbedError `missing` when it cannot be read, `invalid` when the header is wrong
 */
export function openSafetensors(path: string): SafetensorsFile {
  return withFile(path, (fd) => {
    const size = fstatSync(fd).size;
    if (size < 8) throw invalid(path, `it has ${size} bytes, a header's length takes 8`);
    const headerBytes = Number(readAt(fd, path, 0, 8).readBigUInt64LE());
    if (headerBytes > MAX_HEADER_BYTES || headerBytes > size - 8) {
      throw invalid(path, `its header is said to take ${headerBytes} bytes, the file has ${size - 8} left`);
    }
    const header = parseHeader(path, readAt(fd, path, 8, headerBytes));
    const { __metadata__: metadata, ...tensors } = header;
    const dataOffset = 8 + headerBytes;
    const entries = Object.entries(tensors).map(([name, value]) => entryOf(path, name, value, dataOffset));
    checkLayout(path, entries, dataOffset, size);
    return { path, tensors: new Map(entries.map((e) => [e.name, e])), metadata: metadataOf(path, metadata) };
  });
}

/**
 * Reads a tensor's elements as float32. F16, BF16 and F64 are converted, the last rounded.
 *
 * @throws TierbedError `missing` when there is no such tensor, `invalid` when it is not of a float type
 */
export function readFloat32(file: SafetensorsFile, name: string): Float32Array {
  const entry = file.tensors.get(name);
  if (!entry) throw new TierbedError('missing', `${file.path} has no tensor ${name}`);
  const { buffer, byteOffset } = withFile(file.path, (fd) => readAt(fd, file.path, entry.offset, entry.bytes));
  const count = elementCount(entry.shape);
  switch (entry.dtype) {
    case 'F32':
      return new Float32Array(buffer, byteOffset, count);
    case 'F16':
      return float16ToFloat32(new Uint16Array(buffer, byteOffset, count));
    case 'BF16':
      return bfloat16ToFloat32(new Uint16Array(buffer, byteOffset, count));
    case 'F64':
      return Float32Array.from(new Float64Array(buffer, byteOffset, count));
    default:
      throw invalid(file.path, `tensor ${name} is of type ${entry.dtype}, weights are F32, F16, BF16 or F64`);
  }
}

/** A tensor to be written. */
export interface Float32Entry {
  readonly name: string;
  readonly shape: readonly number[];
  /** Called once, when its turn to be written has come. */
  readonly values: () => Float32Array;
}

/**
 * Writes float32 tensors, in the order given, one in memory at a time.
 *
 * @throws TierbedError `invalid` when two tensors have one name or elements do not fit a shape
 */
export function writeSafetensors(
  path: string,
  tensors: readonly Float32Entry[],
  metadata: Readonly<Record<string, string>> = {},
): void {
  const header: Record<string, unknown> = Object.create(null);
  if (Object.keys(metadata).length > 0) header.__metadata__ = metadata;
  let end = 0;
  for (const { name, shape } of tensors) {
    if (name in header || name === '__metadata__') throw invalid(path, `two tensors would be named ${name}`);
    const begin = end;
    end += 4 * elementCount(shape);
    header[name] = { dtype: 'F32', shape, data_offsets: [begin, end] };
  }
  const json = Buffer.from(JSON.stringify(header), 'utf8');
  // Padded with spaces, so that the elements start at a multiple of eight bytes.
  const padded = Buffer.alloc(Math.ceil(json.length / 8) * 8, ' ');
  json.copy(padded);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  withFile(
    path,
    (fd) => {
      writeAll(fd, length);
      writeAll(fd, padded);
      for (const { name, shape, values } of tensors) {
        const elements = values();
        if (elements.length !== elementCount(shape)) {
          throw invalid(path, `tensor ${name} [${shape.join(', ')}] was given ${elements.length} elements`);
        }
        writeAll(fd, new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength));
      }
    },
    'w',
  );
}

function parseHeader(path: string, bytes: Buffer): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw invalid(path, `its header is not JSON: ${messageOf(error)}`);
  }
  if (!isRecord(header)) throw invalid(path, 'its header is not a JSON object');
  return header;
}

function metadataOf(path: string, metadata: unknown): Record<string, string> {
  if (metadata === undefined) return {};
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === 'string')) {
    throw invalid(path, '__metadata__ is not an object of texts');
  }
  return metadata as Record<string, string>;
}

function entryOf(path: string, name: string, value: unknown, dataOffset: number): SafetensorsEntry {
  if (!isRecord(value)) throw invalid(path, `tensor ${name} is described by something that is not an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  const bits = typeof dtype === 'string' && Object.hasOwn(ELEMENT_BITS, dtype) ? ELEMENT_BITS[dtype] : undefined;
  if (bits === undefined) throw invalid(path, `tensor ${name} is of unknown type ${JSON.stringify(dtype)}`);
  if (!isSizes(shape)) throw invalid(path, `tensor ${name} has shape ${JSON.stringify(shape)}`);
  if (!isSizes(offsets) || offsets.length !== 2) {
    throw invalid(path, `tensor ${name} has data_offsets ${JSON.stringify(offsets)}`);
  }
  const [begin, end] = offsets as [number, number];
  const bytes = (elementCount(shape) * bits) / 8;
  if (end - begin !== bytes) {
    throw invalid(path, `tensor ${name}, ${dtype} [${shape.join(', ')}], takes ${bytes} bytes and has ${end - begin}`);
  }
  return { name, dtype: dtype as string, shape, offset: dataOffset + begin, bytes };
}

/** Every byte behind the header belongs to exactly one tensor, so that nothing is hidden and nothing is shared. */
function checkLayout(path: string, entries: readonly SafetensorsEntry[], dataOffset: number, size: number): void {
  let end = dataOffset;
  for (const entry of entries.toSorted((a, b) => a.offset - b.offset || a.bytes - b.bytes)) {
    if (entry.offset !== end) {
      const what = entry.offset < end ? 'overlaps the one before it' : 'leaves a hole before it';
      throw invalid(path, `tensor ${entry.name} ${what}`);
    }
    end += entry.bytes;
  }
  if (end > size) throw invalid(path, `its tensors take ${end - dataOffset} bytes, the file has ${size - dataOffset}`);
  if (end < size) throw invalid(path, `${size - end} bytes at its end belong to no tensor`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

function invalid(path: string, what: string): TierbedError {
  return new TierbedError('invalid', `${path} is not a valid safetensors file: ${what}`, {
    fix: 'Fetch or save the file again.',
  });
}

function withFile<T>(path: string, use: (fd: number) => T, flags: 'r' | 'w' = 'r'): T {
  let fd: number;
  try {
    fd = openSync(path, flags);
  } catch (error) {
    const verb = flags === 'r' ? 'read' : 'write';
    throw new TierbedError('missing', `cannot ${verb} ${path}: ${messageOf(error)}`, { cause: error });
  }
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

/** Reads exactly these bytes, into memory of their own. */
function readAt(fd: number, path: string, offset: number, bytes: number): Buffer {
  const buffer = Buffer.from(new ArrayBuffer(bytes));
  for (let done = 0; done < bytes; ) {
    const read = readSync(fd, buffer, done, bytes - done, offset + done);
    if (read === 0) throw invalid(path, `it ends at byte ${offset + done}, inside its tensors`);
    done += read;
  }
  return buffer;
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.byteLength; ) done += writeSync(fd, bytes, done);
}
