import { readFileSync, statSync } from 'node:fs';
import { messageOf, TierbedError } from '../../../base/errors.js';
import type { LinkTrace } from '../types.js';
import { parseCsvTrace } from './csv.js';
import { parseMahimahiTrace } from './mahimahi.js';

/** Reads a trace's text. @throws TierbedError `invalid` with file, line and fix */
export type TraceParser = (text: string, file: string) => LinkTrace;

/** Formats of traces by name; a new one is one file in this folder and one line here. */
export const TRACE_FORMATS = { csv: parseCsvTrace, mahimahi: parseMahimahiTrace } as const satisfies Record<
  string,
  TraceParser
>;

export type TraceFormat = keyof typeof TRACE_FORMATS;

/** A day of deliveries at 60 Mbit/s would be forty times as much: such a file is something else. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;

/** The format that a file's name says: `csv` for `.csv`, `mahimahi` for any other. */
export function traceFormatOf(file: string): TraceFormat {
  return file.toLowerCase().endsWith('.csv') ? 'csv' : 'mahimahi';
}

/**
 * Reads a trace from a file.
 *
 * @param shown the file's name for errors
 * @throws TierbedError `missing` when it cannot be read; `invalid` with file and line when it is not a trace
 */
export function readTrace(path: string, format: TraceFormat, shown = path): { trace: LinkTrace; text: string } {
  let text: string;
  try {
    const { size } = statSync(path);
    if (size > MAX_FILE_BYTES) {
      throw new TierbedError('invalid', `${shown} has ${size} bytes, and a trace may have ${MAX_FILE_BYTES}`, {
        fix: 'Give a part of it.',
      });
    }
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof TierbedError) throw error;
    throw new TierbedError('missing', `cannot read the trace ${shown}: ${messageOf(error)}`, {
      fix: "Give the trace's path relative to the study.",
      cause: error,
    });
  }
  return { trace: TRACE_FORMATS[format](text, shown), text };
}
