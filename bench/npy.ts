import { writeFile } from 'node:fs/promises';
import type { DenseTensor } from '../onnx/tensor.js';

/** NumPy's type strings: little-endian, with the bytes of an element. */
const DESCR: Readonly<Partial<Record<DenseTensor['dtype'], string>>> = {
  float32: '<f4',
  int64: '<i8',
  int32: '<i4',
};

/** Writes a tensor as NumPy's .npy file, version 1.0 (NumPy Enhancement Proposal 1), for the Python side of a benchmark. */
export async function writeNpy(path: string, { dtype, shape, data }: DenseTensor): Promise<void> {
  const descr = DESCR[dtype];
  if (descr === undefined) throw new RangeError(`no .npy type for ${dtype}`);
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${dims}), }`;
  // The elements begin at a multiple of 64 bytes; the header ends with a line break.
  const padded = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`;
  const header = Buffer.alloc(10 + padded.length, padded, 'latin1');
  header.write('\x93NUMPY\x01\x00', 'latin1');
  header.writeUInt16LE(padded.length, 8);
  header.write(padded, 10, 'latin1');
  await writeFile(path, Buffer.concat([header, data]));
}
