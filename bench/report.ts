import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Table from 'cli-table3';
import { median as middle } from '../base/median.js';
import { packageRoot } from '../base/paths.js';

/** One line of a benchmark's table; units belong in the keys. */
export type Row = Readonly<Record<string, string | number | boolean | null>>;

/** A figure, what it may be at most (or at least, as its name says), and whether it is. */
export interface Figure {
  readonly value: number;
  readonly bound: number;
  readonly holds: boolean;
}

/** `value` holds when it is at most `bound`. */
export function atMost(value: number, bound: number): Figure {
  return { value, bound, holds: value <= bound };
}

/** `value` holds when it is at least `bound`. */
export function atLeast(value: number, bound: number): Figure {
  return { value, bound, holds: value >= bound };
}

/** The middle value; the mean of the two in the middle when their number is even. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('no values');
  return middle(values);
}

/**
 * Prints a benchmark's table and verdict and writes them to `bench/results/NAME.json`.
 * A figure that does not hold makes the process exit with 1.
 */
export async function report(
  name: string,
  rows: readonly Row[],
  verdict: Readonly<Record<string, Figure>>,
): Promise<void> {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const table = new Table({ head: columns, style: { head: [], border: [] } });
  for (const row of rows) table.push(columns.map((column) => show(row[column])));
  process.stdout.write(`${table}\n`);
  for (const [figure, { value, bound, holds }] of Object.entries(verdict)) {
    process.stdout.write(`${holds ? 'holds' : 'DOES NOT HOLD'}  ${figure}: ${show(value)} (bound ${show(bound)})\n`);
  }
  const folder = join(packageRoot, 'bench', 'results');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${name}.json`), `${JSON.stringify({ name, rows, verdict }, null, 2)}\n`);
  if (!Object.values(verdict).every((figure) => figure.holds)) process.exitCode = 1;
}

function show(value: Row[string] | undefined): string {
  if (typeof value !== 'number') return value === undefined || value === null ? '' : String(value);
  return Number.isInteger(value) ? String(value) : value.toPrecision(4);
}
