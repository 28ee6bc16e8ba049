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

/**
 * The labels of a data file's items: a column of a CSV file with a heading, one row an item in the data's order.
 *
 * @param data the file that is labelled, and how many items it has
 * @throws TierbedError as `readColumns`; `invalid` when there are more or fewer labels than items
 */
export async function readLabels(
  path: string,
  column: string,
  data: { readonly path: string; readonly count: number },
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const rows = await readColumns(path, [column], signal);
  if (rows.length !== data.count) {
    throw new TierbedError('invalid', `${path} has ${rows.length} labels for the ${data.count} records of ${data.path}`);
  }
  return rows.map(([label = '']) => label);
}
