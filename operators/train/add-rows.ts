import { TierbedError } from '../../base/errors.js';
import type { DenseTensor } from '../../onnx/tensor.js';

/**
 * Adds rows to those of a table that they were picked from.
 *
 * @param table [rows, width], changed in place
 * @param indices row numbers, int64 or int32; negative ones count from the end
 * @param rows one row for each index, one after the other
 * @param name of the table, for the message
 * @throws TierbedError `internal` when an index is outside: the forward pass would have failed
 */
export function addRows(
  table: Float32Array,
  width: number,
  indices: DenseTensor,
  rows: Float32Array,
  name: string,
): void {
  const count = table.length / width;
  const numbers = rowNumbers(indices);
  for (let i = 0; i < numbers.length; i++) {
    const given = Number(numbers[i]);
    const row = given < 0 ? given + count : given;
    if (!(row >= 0 && row < count)) throw new TierbedError('internal', `${name} has no row ${given}`);
    const [to, from] = [row * width, i * width];
    for (let j = 0; j < width; j++) table[to + j] = (table[to + j] as number) + (rows[from + j] as number);
  }
}

function rowNumbers({ dtype, data }: DenseTensor): BigInt64Array | Int32Array {
  // Not `slice`: that of a Buffer copies nothing.
  const aligned = data.byteOffset % 8 === 0 ? data : new Uint8Array(data);
  const { buffer, byteOffset, byteLength } = aligned;
  return dtype === 'int64'
    ? new BigInt64Array(buffer, byteOffset, byteLength / 8)
    : new Int32Array(buffer, byteOffset, byteLength / 4);
}
