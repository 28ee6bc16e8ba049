import type { Progress } from '../base/progress.js';

/** The part of a stream that progress needs; `process.stderr` is one. */
export interface ProgressStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface ProgressOptions {
  /** Nothing is written. */
  readonly quiet?: boolean;
  /** Time between plain lines where the stream is no terminal. */
  readonly plainIntervalMs?: number;
  /** A clock in ms; tests give their own. */
  readonly now?: () => number;
}

const REDRAW_INTERVAL_MS = 100;
const PLAIN_INTERVAL_MS = 2_000;

/**
 * Progress for people: on a terminal one line that rewrites itself, elsewhere a plain line every few seconds.
 * Both say what is going on, how much is done, and how long the rest takes at the pace so far.
 */
export function createProgress(stream: ProgressStream = process.stderr, options: ProgressOptions = {}): Progress {
  if (options.quiet) return { start() {}, update() {}, stop() {} };
  const now = options.now ?? (() => performance.now());
  const terminal = stream.isTTY === true;
  const intervalMs = terminal ? REDRAW_INTERVAL_MS : (options.plainIntervalMs ?? PLAIN_INTERVAL_MS);
  let label = '';
  let total: number | undefined;
  let startedMs = 0;
  let firstDone: number | undefined;
  let shownMs = now();
  let drawn = false;

  const show = (line: string): void => {
    stream.write(terminal ? `\r\x1b[2K${fit(line, stream.columns ?? 80)}` : `${line}\n`);
    drawn = true;
  };

  return {
    start(newLabel, newTotal) {
      label = newLabel;
      total = newTotal;
      startedMs = now();
      firstDone = undefined;
      drawn = false;
      if (!terminal && startedMs - shownMs < intervalMs) return;
      shownMs = startedMs;
      show(progressLine(label, 0, total, undefined));
    },
    update(done, note) {
      firstDone ??= done > 0 ? done - 1 : 0;
      const atMs = now();
      if (atMs - shownMs < intervalMs) return;
      shownMs = atMs;
      const doneHere = done - firstDone;
      const leftMs = total !== undefined && doneHere > 0 ? ((total - done) * (atMs - startedMs)) / doneHere : undefined;
      show(progressLine(label, done, total, leftMs, note));
    },
    stop(summary) {
      if (terminal && drawn) stream.write('\r\x1b[2K');
      if (summary !== undefined) stream.write(`${summary}\n`);
      drawn = false;
    },
  };
}

/** One line: label, done/total, per cent, time left, note; each where it is known. */
export function progressLine(
  label: string,
  done: number,
  total: number | undefined,
  leftMs: number | undefined,
  note?: string,
): string {
  const parts = [label];
  if (total !== undefined) parts.push(`${done}/${total}`, `${total === 0 ? 100 : Math.floor((100 * done) / total)} %`);
  else if (done > 0) parts.push(String(done));
  if (leftMs !== undefined) parts.push(`${formatDuration(leftMs)} left`);
  if (note) parts.push(note);
  return parts.join('  ');
}

/** A duration for people: `8 s`, `3 min 05 s`, `2 h 10 min`. */
export function formatDuration(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(seconds % 60).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

function fit(line: string, columns: number): string {
  return line.length < columns ? line : `${line.slice(0, Math.max(0, columns - 2))}…`;
}
