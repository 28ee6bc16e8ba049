import { createReadStream } from 'node:fs';
import { parse } from 'csv-parse';
import { TierbedError } from '../base/errors.js';
import { COLUMNS, type SampleRow } from './columns.js';

/** The first line of samples.csv, with its line end. */
export const CSV_HEADER = `${COLUMNS.map((column) => column.name).join(',')}\n`;

/**
 * A row as one line of samples.csv (RFC 4180), with its line end. Line breaks inside a cell become spaces, so that a
 * row is always exactly one line and a torn one can be told from a whole one.
 */
export function csvLine(row: SampleRow): string {
  return `${COLUMNS.map((column) => csvCell(row[column.name] ?? null)).join(',')}\n`;
}

function csvCell(value: string | number | boolean | null): string {
  if (value === null) return '';
  if (typeof value !== 'string') return String(value);
  const line = value.replace(/[\r\n]+/g, ' ');
  return /[",]/.test(line) ? `"${line.replaceAll('"', '""')}"` : line;
}

/**
 * Reads samples.csv as a stream: memory does not grow with the file.
 *
 * @throws TierbedError `invalid` when the columns are not those of this version or a cell is not of its column's type
 */
export async function* readSamples(path: string): AsyncGenerator<SampleRow> {
  const stream = createReadStream(path);
  const parser = stream.pipe(parse({ relax_column_count: true }));
  stream.on('error', (error) => parser.destroy(error));
  let line = 0;
  try {
    for await (const cells of parser as AsyncIterable<string[]>) {
      line++;
      if (line === 1) checkHeader(cells, path);
      else yield rowOf(cells, path, line);
    }
  } finally {
    stream.destroy();
  }
}

function checkHeader(cells: readonly string[], path: string): void {
  if (`${cells.join(',')}\n` !== CSV_HEADER) {
    throw new TierbedError('invalid', `${path}: its columns are not those that this version of tierbed writes`, {
      fix: 'Use the version that wrote it; environment.json names it.',
    });
  }
}

function rowOf(cells: readonly string[], path: string, line: number): SampleRow {
  if (cells.length !== COLUMNS.length) {
    throw new TierbedError('invalid', `${path}:${line}: ${cells.length} cells, expected ${COLUMNS.length}`);
  }
  const row: Record<string, string | number | boolean | null> = {};
  for (let i = 0; i < COLUMNS.length; i++) {
    const column = COLUMNS[i] as (typeof COLUMNS)[number];
    const cell = cells[i] as string;
    if (column.type === 'text') row[column.name] = cell;
    else if (cell === '') row[column.name] = null;
    else if (column.type === 'boolean') row[column.name] = cell === 'true';
    else {
      const value = Number(cell);
      if (!Number.isFinite(value)) {
        throw new TierbedError('invalid', `${path}:${line}: ${column.name} is '${cell}', expected a number`);
      }
      row[column.name] = value;
    }
  }
  return row;
}
