import { parse } from 'csv-parse/sync';
import { messageOf, TierbedError } from '../../base/errors.js';
import { readData } from './read.js';

/**
 * Columns of a CSV file with a heading (RFC 4180), row by row.
 *
 * @throws TierbedError `missing` when the file is not there; `invalid` when it is not CSV, lacks a column, or has no rows
 */
export async function readColumns(
  path: string,
  columns: readonly string[],
  signal?: AbortSignal,
): Promise<readonly (readonly string[])[]> {
  const text = (await readData(path, signal)).toString('utf8');
  let rows: Record<string, string>[];
  try {
    rows = parse(text, { columns: true, bom: true, skip_empty_lines: true, trim: true });
  } catch (error) {
    throw new TierbedError('invalid', `${path} is not a CSV file with a heading: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const [first] = rows;
  if (!first) throw new TierbedError('invalid', `${path} has a heading and no rows, or nothing at all`);
  for (const column of columns) {
    if (Object.hasOwn(first, column)) continue;
    throw new TierbedError('invalid', `${path} has no column '${column}'`, {
      fix: `Name one of its columns in the study: ${Object.keys(first).join(', ')}.`,
    });
  }
  return rows.map((row) => columns.map((column) => row[column] as string));
}
