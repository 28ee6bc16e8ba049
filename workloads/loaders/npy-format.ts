import { TierbedError } from '../../base/errors.js';
import { type DenseTensor, ELEMENT_BYTES } from '../../onnx/tensor.js';

/*
 * NumPy's array file, versions 1.0 to 3.0 (numpy.lib.format):
 *
 *   offset 0    6 bytes   \x93NUMPY
 *   offset 6    2 bytes   major and minor version
 *   offset 8    uint16    length of the header, little-endian; uint32 from version 2.0 on
 *   then        header    a literal of Python: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
 *   then        elements  in C order (row-major) unless the header says otherwise
 */
const MAGIC = Buffer.from('\x93NUMPY', 'latin1');

/** NumPy itself refuses headers of more than 10,000 characters. */
const MAX_HEADER_BYTES = 10_000;

/** Bytes that are enough to hold the header of any array that is read here. */
export const NPY_HEAD_BYTES = 12 + MAX_HEADER_BYTES;

/** What the header of an array says. */
export interface NpyHeader {
  /** Element type; a text type is `text`, fixed length, of so many bytes each. */
  readonly dtype: DenseTensor['dtype'] | 'text';
  readonly elementBytes: number;
  /** Of text: UTF-32 in NumPy's `U`, bytes in its `S`. */
  readonly encoding?: 'utf32' | 'bytes';
  /** At least one dimension: items lie along the first. */
  readonly shape: readonly number[];
  /** Where the elements begin. */
  readonly dataAt: number;
}

const DTYPES: Readonly<Record<string, DenseTensor['dtype']>> = {
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
  i1: 'int8',
  i2: 'int16',
  i4: 'int32',
  i8: 'int64',
  u1: 'uint8',
  u2: 'uint16',
  u4: 'uint32',
  u8: 'uint64',
  b1: 'bool',
};

/**
 * Reads an array's header and checks it against the length of the whole.
 *
 * @param head the beginning of the file, `NPY_HEAD_BYTES` of it or all
 * @param length of the whole file, in bytes
 * @param what names the array in errors
 * @throws TierbedError `invalid` for what is no array file, for one that is cut short, and for arrays of objects or
 *   structures, in Fortran order, big-endian or without a dimension
 */
export function parseNpyHeader(head: Uint8Array, length: number, what: string): NpyHeader {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  if (bytes.byteLength < 10 || !bytes.subarray(0, MAGIC.byteLength).equals(MAGIC)) {
    throw invalid(`${what} is not a NumPy array file: it does not begin with \\x93NUMPY`);
  }
  const major = bytes[6] as number;
  if (major < 1 || major > 3) throw invalid(`${what} is a NumPy array file of version ${major}; 1 to 3 can be read`);
  const headerAt = major === 1 ? 10 : 12;
  if (bytes.byteLength < headerAt) throw invalid(`${what} is cut short within its header`);
  const headerBytes = major === 1 ? bytes.readUInt16LE(8) : bytes.readUInt32LE(8);
  if (headerBytes > MAX_HEADER_BYTES) {
    throw invalid(`${what} has a header of ${headerBytes} bytes, more than the ${MAX_HEADER_BYTES} that NumPy takes`);
  }
  const dataAt = headerAt + headerBytes;
  if (dataAt > bytes.byteLength) throw invalid(`${what} is cut short within its header`);
  const text = bytes.toString(major === 3 ? 'utf8' : 'latin1', headerAt, dataAt);
  const shape = shapeOf(text, what);
  const type = typeOf(text, what);
  if (field(text, 'fortran_order', /(True|False)/, what) === 'True' && shape.filter((d) => d > 1).length > 1) {
    throw invalid(`${what} is in Fortran order`, 'Save it with numpy.ascontiguousarray(array).');
  }
  const wanted = shape.reduce((product, d) => product * d, type.elementBytes);
  if (!Number.isSafeInteger(wanted) || dataAt + wanted !== length) {
    const elements = `[${shape.join(', ')}] elements of ${type.elementBytes} bytes`;
    throw invalid(`${what} says that it has ${elements}, ${wanted} bytes, and has ${length - dataAt}`);
  }
  return { ...type, shape, dataAt };
}

function field(header: string, name: string, value: RegExp, what: string): string {
  const found = new RegExp(`['"]${name}['"]\\s*:\\s*${value.source}`).exec(header);
  if (!found?.[1] && found?.[1] !== '') throw invalid(`${what} has a header without a '${name}' that can be read`);
  return found[1];
}

function shapeOf(header: string, what: string): number[] {
  const dims = field(header, 'shape', /\(([\d\sL,]*)\)/, what)
    .split(',')
    .map((d) => d.trim().replace(/L$/, ''))
    .filter((d) => d !== '');
  const shape = dims.map(Number);
  if (!shape.every((d) => Number.isSafeInteger(d) && d >= 0)) {
    throw invalid(`${what} has the shape (${dims.join(', ')}), which cannot be`);
  }
  if (shape.length === 0) throw invalid(`${what} is a single number: items lie along its first axis, and it has none`);
  return shape;
}

function typeOf(header: string, what: string): Pick<NpyHeader, 'dtype' | 'elementBytes' | 'encoding'> {
  if (/['"]descr['"]\s*:\s*[[(]/.test(header)) {
    throw invalid(`${what} holds structures`, 'Save one of their fields, e.g. array["x"].');
  }
  const descr = field(header, 'descr', /['"]([^'"]*)['"]/, what);
  const [, order = '', kind = '', size = ''] = /^([<>|=]?)([a-zA-Z])(\d*)/.exec(descr) ?? [];
  if (kind === 'O') {
    throw invalid(`${what} holds Python objects, which are not unpacked`, 'Save it with a dtype of numbers.');
  }
  if (kind === 'U' || kind === 'S') {
    const elementBytes = Number(size) * (kind === 'U' ? 4 : 1);
    if (order === '>' && kind === 'U') throw bigEndian(what, descr);
    return { dtype: 'text', elementBytes, encoding: kind === 'U' ? 'utf32' : 'bytes' };
  }
  const dtype = DTYPES[`${kind}${size}`];
  if (!dtype || `${order}${kind}${size}` !== descr) {
    throw invalid(`${what} has elements of the type '${descr}', which no model takes`, 'Save it as float32.');
  }
  if (order === '>' && ELEMENT_BYTES[dtype] > 1) throw bigEndian(what, descr);
  return { dtype, elementBytes: ELEMENT_BYTES[dtype] };
}

function bigEndian(what: string, descr: string): TierbedError {
  return invalid(`${what} is big-endian ('${descr}')`, `Save it with array.astype('<${descr.slice(1)}').`);
}

function invalid(message: string, fix?: string): TierbedError {
  return new TierbedError('invalid', message, fix === undefined ? {} : { fix });
}
