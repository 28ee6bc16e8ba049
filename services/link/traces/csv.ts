import { parse } from 'csv-parse/sync';
import { messageOf, TierbedError } from '../../../base/errors.js';
import type { LinkTrace, TraceStep } from '../types.js';
import { MAX_TRACE_ENTRIES } from '../validate.js';

/** What a step may set, and the column that says it. */
const SETTINGS = ['rateMbps', 'delayMs', 'jitterMs', 'lossPct'] as const;

/** Columns that say when a step begins, and how many milliseconds their unit has. */
const TIMES: Readonly<Record<string, number>> = { time_s: 1000, timeMs: 1 };

const COLUMNS = [...Object.keys(TIMES), ...SETTINGS];

interface Row {
  readonly record: Readonly<Record<string, string>>;
  readonly info: { readonly lines: number };
}

/**
 * Reads a trace from CSV with a header: `time_s` or `timeMs`, and at least one of `rateMbps`, `delayMs`, `jitterMs` and
 * `lossPct`. A row holds until the next one; an empty cell leaves what the study sets. The last row lasts as long as the one
 * before it, or no time at all if it has nothing but a time. Lines that begin with `#` say nothing.
 *
 * @param file the name that errors give
 * @throws TierbedError `invalid` with file, line and fix
 */
export function parseCsvTrace(text: string, file: string): LinkTrace {
  const rows = readRows(text, file);
  const columns = Object.keys(rows[0]?.record ?? {});
  const timeColumn = columns.find((column) => column in TIMES);
  const steps: TraceStep[] = [];
  let endMs: number | undefined;
  for (const [i, { record, info }] of rows.entries()) {
    const fail = (what: string, fix?: string) => wrong(file, info.lines, what, fix);
    const number = (column: string): number | undefined => {
      const cell = record[column] ?? '';
      if (cell === '') return undefined;
      const value = Number(cell);
      if (!Number.isFinite(value) || value < 0)
        throw fail(`${column} is ${JSON.stringify(cell)}, not a number from 0 up`);
      return value;
    };
    const time = timeColumn === undefined ? undefined : number(timeColumn);
    if (timeColumn === undefined || time === undefined) throw fail('there is no time in this row');
    const atMs = time * (TIMES[timeColumn] as number);
    const before = steps.at(-1)?.atMs;
    if (before === undefined && atMs !== 0) {
      throw fail(`the first row is at ${time}, not at 0`, "Count the time from the trace's beginning.");
    }
    if (before !== undefined && atMs <= before) throw fail(`${timeColumn} ${time} does not come after the row above`);
    const given = SETTINGS.flatMap((key) => {
      const value = number(key);
      return value === undefined ? [] : [[key, value] as const];
    });
    const step: TraceStep = { atMs, ...Object.fromEntries(given) };
    if (step.rateMbps === 0) {
      throw fail('rateMbps is 0, which would mean no limit', 'Use lossPct 100 where nothing is to pass.');
    }
    if ((step.lossPct ?? 0) > 100) throw fail(`lossPct is ${step.lossPct}, not a number from 0 to 100`);
    if (given.length === 0 && i === rows.length - 1 && i > 0) endMs = atMs;
    else steps.push(step);
  }
  const [last, previous] = [steps.at(-1), steps.at(-2)];
  if (endMs === undefined && (!last || !previous)) {
    throw wrong(
      file,
      rows[0]?.info.lines ?? 1,
      'one row does not say how long it lasts',
      'Add a row with the time at which the trace ends.',
    );
  }
  const lengthMs = endMs ?? 2 * (last as TraceStep).atMs - (previous as TraceStep).atMs;
  return { kind: 'steps', steps, lengthMs };
}

function readRows(text: string, file: string): Row[] {
  let rows: Row[];
  try {
    rows = parse(text, {
      columns: (header: string[]) => checkedHeader(header, file),
      comment: '#',
      comment_no_infix: true,
      skip_empty_lines: true,
      trim: true,
      bom: true,
      info: true,
      to: MAX_TRACE_ENTRIES + 1,
    }) as unknown as Row[];
  } catch (error) {
    if (error instanceof TierbedError) throw error;
    throw wrong(file, (error as { lines?: number }).lines ?? 1, messageOf(error));
  }
  if (rows.length === 0) throw wrong(file, 1, 'there is no row below a header');
  if (rows.length > MAX_TRACE_ENTRIES)
    throw wrong(file, rows.at(-1)?.info.lines ?? 1, `more than ${MAX_TRACE_ENTRIES} rows`);
  return rows;
}

function checkedHeader(header: readonly string[], file: string): string[] {
  const unknown = header.find((column) => !COLUMNS.includes(column));
  if (unknown !== undefined) throw wrong(file, 1, `${JSON.stringify(unknown.slice(0, 40))} is not a column of a trace`);
  if (header.filter((column) => column in TIMES).length !== 1) throw wrong(file, 1, 'there must be one column of time');
  if (new Set(header).size !== header.length) throw wrong(file, 1, 'a column is there twice');
  if (header.length === 1) throw wrong(file, 1, 'there is nothing but time');
  return [...header];
}

function wrong(file: string, line: number, what: string, fix?: string): TierbedError {
  return new TierbedError('invalid', `${file}:${line}: ${what}`, {
    fix:
      fix ??
      `Give CSV with the columns time_s or timeMs, and some of ${SETTINGS.join(', ')}; or name its format (format: mahimahi).`,
  });
}
