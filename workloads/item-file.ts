import { TierbedError } from '../base/errors.js';
import { type DenseTensor, denseTensor, ELEMENT_BYTES, elementCount, type NamedTensor } from '../onnx/tensor.js';

/*
 * Tensors as the bytes of one item. The layout, all numbers little-endian:
 *
 *   offset 0   4 bytes   'TBI1'
 *   offset 4   uint32    length of the header, which ends at a multiple of 8
 *   offset 8   header    JSON, padded with spaces: [{"name","dtype","shape"}, ...]
 *   then, for each entry of the header, its elements (row-major), each padded with zeros to a multiple of 8 bytes
 */
const MAGIC = 'TBI1';
const ALIGNMENT = 8;

const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** Writes named tensors as an item's bytes. */
export function encodeItemFile(tensors: readonly { name: string; tensor: DenseTensor }[]): Uint8Array {
  const entries = tensors.map(({ name, tensor }) => ({ name, dtype: tensor.dtype, shape: tensor.shape }));
  const json = Buffer.from(JSON.stringify(entries), 'utf8');
  const headerBytes = aligned(json.byteLength);
  const total = tensors.reduce((sum, { tensor }) => sum + aligned(tensor.data.byteLength), 8 + headerBytes);
  const file = Buffer.alloc(total);
  file.write(MAGIC, 0, 'latin1');
  file.writeUInt32LE(headerBytes, 4);
  file.fill(' ', 8, 8 + headerBytes);
  file.set(json, 8);
  let at = 8 + headerBytes;
  for (const { tensor } of tensors) {
    file.set(tensor.data, at);
    at += aligned(tensor.data.byteLength);
  }
  return file;
}

/**
 * Reads what `encodeItemFile` wrote. The tensors are views of `bytes`.
 *
 * @throws TierbedError `invalid` when the bytes are not an item file or the header does not match what follows it
 */
export function decodeItemFile(bytes: Uint8Array): readonly NamedTensor[] {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (file.byteLength < 8 || file.toString('latin1', 0, 4) !== MAGIC) {
    throw notAnItem(`the ${file.byteLength} bytes do not begin with '${MAGIC}'`);
  }
  const dataAt = 8 + file.readUInt32LE(4);
  if (dataAt > file.byteLength) throw notAnItem(`its header ends at byte ${dataAt} of ${file.byteLength}`);
  let at = dataAt;
  const tensors = parseHeader(file.toString('utf8', 8, dataAt)).map(({ name, dtype, shape }) => {
    const length = elementCount(shape) * ELEMENT_BYTES[dtype];
    if (!Number.isSafeInteger(length) || at + length > file.byteLength) {
      throw notAnItem(`tensor '${name}' takes ${length} bytes and ${file.byteLength - at} are left`);
    }
    const tensor = denseTensor(dtype, shape, file.subarray(at, at + length));
    at += aligned(length);
    return { name, tensor };
  });
  if (at !== file.byteLength) throw notAnItem(`its tensors end at byte ${at} of ${file.byteLength}`);
  return tensors;
}

interface HeaderEntry {
  readonly name: string;
  readonly dtype: DenseTensor['dtype'];
  readonly shape: readonly number[];
}

function parseHeader(text: string): readonly HeaderEntry[] {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    throw notAnItem('its header is not JSON', error);
  }
  if (!Array.isArray(header) || !header.every(isEntry)) {
    throw notAnItem('its header is not a list of {name, dtype, shape}');
  }
  return header;
}

function isEntry(entry: unknown): entry is HeaderEntry {
  if (typeof entry !== 'object' || entry === null) return false;
  const { name, dtype, shape } = entry as Record<string, unknown>;
  return (
    typeof name === 'string' &&
    typeof dtype === 'string' &&
    Object.hasOwn(ELEMENT_BYTES, dtype) &&
    Array.isArray(shape) &&
    shape.every((d) => Number.isSafeInteger(d) && d >= 0)
  );
}

function notAnItem(why: string, cause?: unknown): TierbedError {
  return new TierbedError('invalid', `not an item file: ${why}`, { cause });
}
