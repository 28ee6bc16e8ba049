import { TierbedError } from '../../../base/errors.js';
import type { LinkTrace } from '../types.js';
import { MAX_TRACE_ENTRIES } from '../validate.js';

/**
 * Reads a trace in mahimahi's format: a line for each packet of 1500 bytes that may pass, with the millisecond at which it
 * may, ascending. The trace begins again at its last time. Empty lines and lines that begin with `#` say nothing.
 *
 * @param file the name that errors give
 * @throws TierbedError `invalid` with file, line and fix
 */
export function parseMahimahiTrace(text: string, file: string): LinkTrace {
  const atMs: number[] = [];
  for (const [i, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const time = /^\d{1,12}$/.test(line) ? Number(line) : Number.NaN;
    if (Number.isNaN(time)) {
      throw wrong(file, i + 1, `${JSON.stringify(line.slice(0, 40))} is not a whole number of milliseconds`);
    }
    const before = atMs.at(-1) ?? 0;
    if (time < before) throw wrong(file, i + 1, `${time} ms comes after ${before} ms: the times must ascend`);
    if (atMs.length === MAX_TRACE_ENTRIES) throw wrong(file, i + 1, `more than ${MAX_TRACE_ENTRIES} deliveries`);
    atMs.push(time);
  }
  const lengthMs = atMs.at(-1) ?? 0;
  if (lengthMs === 0) throw wrong(file, 1, 'there is no delivery after 0 ms, so it lasts no time');
  return { kind: 'deliveries', atMs, lengthMs };
}

function wrong(file: string, line: number, what: string): TierbedError {
  return new TierbedError('invalid', `${file}:${line}: ${what}`, {
    fix: "Give a trace in mahimahi's format: one time in ms a line, e.g. 0, 12, 12, 31; or name its format (format: csv).",
  });
}
