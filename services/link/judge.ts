import type { Exchange } from './probe/link-probe.js';
import type { Direction } from './types.js';
import { PACKET_BYTES, SEGMENT_BYTES, transferMs } from './wire.js';

export type FigureName = 'delayMs' | 'jitterMs' | 'roundTripMs' | 'messageMs' | 'rateMbps';

/** One thing that was set, and what was measured of it. */
export interface LinkFigure {
  /** A link's name, or those of a chain joined by ` + `. */
  readonly link: string;
  readonly direction: Direction | 'both';
  readonly figure: FigureName;
  /** null where nothing was set: an unlimited rate is measured for the record. */
  readonly set: number | null;
  readonly measured: number;
  /** How far `measured` may be from `set`, in the same unit. */
  readonly tolerance: number;
  readonly ok: boolean;
  /** How often it was measured; the last one counts. */
  readonly attempts: number;
}

export type Judged = Omit<LinkFigure, 'link' | 'attempts'>;

/** What a direction should do to messages, over one link or several in series. */
export interface Expected {
  readonly delayMs: number;
  readonly jitterMs: number;
  readonly ratesMbps: readonly (number | undefined)[];
}

/** How far a figure may be off: times by `ms` or `share` of what was set, whichever is more; rates by `share`. */
export interface Tolerance {
  readonly ms: number;
  readonly share: number;
}

/** The least that a payload takes: its way through the limiters, and the delay. */
export function leastMs(expected: Expected, bytes: number): number {
  return transferMs(bytes, expected.ratesMbps) + expected.delayMs;
}

/** The rate of the slowest link, or null where none is limited. */
export function rateOf(expected: Expected): number | null {
  const limits = expected.ratesMbps.filter((rate): rate is number => !!rate);
  return limits.length > 0 ? Math.min(...limits) : null;
}

/** Delay and jitter each way and the round trip, from small messages that did not wait for one another. */
export function judgePings(
  pings: readonly Exchange[],
  bytes: number,
  up: Expected,
  down: Expected,
  tolerance: Tolerance,
): Judged[] {
  const upSerialMs = transferMs(bytes, up.ratesMbps);
  const downSerialMs = transferMs(bytes, down.ratesMbps);
  const ups = pings.map((e) => e.upMs - upSerialMs);
  const downs = pings.map((e) => e.downMs - downSerialMs);
  const trips = pings.map((e) => e.roundTripMs - upSerialMs - downSerialMs);
  const jitterMs = Math.hypot(up.jitterMs, down.jitterMs);
  return [
    ...judgeOneWay('up', ups, up, tolerance),
    ...judgeOneWay('down', downs, down, tolerance),
    judgeTime(
      'both',
      'roundTripMs',
      up.delayMs + down.delayMs,
      centre(trips, jitterMs),
      tolerance,
      errorOfMean(trips, jitterMs),
    ),
  ];
}

function judgeOneWay(
  direction: Direction,
  times: readonly number[],
  expected: Expected,
  tolerance: Tolerance,
): Judged[] {
  const { delayMs, jitterMs } = expected;
  const extraMs = errorOfMean(times, jitterMs);
  const delay = judgeTime(direction, 'delayMs', delayMs, centre(times, jitterMs), tolerance, extraMs);
  if (jitterMs === 0) return [delay];
  // The standard error of a standard deviation is that of the mean over the square root of two.
  return [delay, judgeTime(direction, 'jitterMs', jitterMs, deviation(times), tolerance, extraMs / Math.SQRT2)];
}

/** How long a message takes each time. Its last packet cannot overtake, so with jitter it is as late as the latest. */
export function judgeMessage(
  messages: readonly Exchange[],
  bytes: number,
  direction: Direction,
  expected: Expected,
  tolerance: Tolerance,
): Judged {
  const times = messages.map((e) => (direction === 'up' ? e.upMs : e.downMs));
  return judgeTime(direction, 'messageMs', leastMs(expected, bytes), median(times), tolerance, 3 * expected.jitterMs);
}

/** The rate on the wire after the first tenth of a long message. */
export function judgeRate(bulk: Exchange, direction: Direction, expected: Expected, tolerance: Tolerance): Judged {
  const tail = direction === 'up' ? bulk.upTail : bulk.downTail;
  const measured = (tail.bytes * 8 * (PACKET_BYTES / SEGMENT_BYTES)) / (tail.ms * 1000);
  const set = rateOf(expected);
  if (set === null) return { direction, figure: 'rateMbps', set, measured, tolerance: 0, ok: true };
  return judged(direction, 'rateMbps', set, measured, set * (tolerance.share + (3 * expected.jitterMs) / tail.ms));
}

function judgeTime(
  direction: Direction | 'both',
  figure: FigureName,
  setMs: number,
  measuredMs: number,
  tolerance: Tolerance,
  extraMs: number,
): Judged {
  return judged(direction, figure, setMs, measuredMs, Math.max(tolerance.ms, tolerance.share * setMs) + extraMs);
}

function judged(
  direction: Direction | 'both',
  figure: FigureName,
  set: number,
  measured: number,
  tolerance: number,
): Judged {
  return { direction, figure, set, measured, tolerance, ok: Math.abs(measured - set) <= tolerance };
}

/** Three standard errors of a mean. */
function errorOfMean(times: readonly number[], jitterMs: number): number {
  return (3 * jitterMs) / Math.sqrt(times.length);
}

/** Where times lie: their mean if they were meant to spread, else their median, which no outlier moves. */
function centre(times: readonly number[], jitterMs: number): number {
  return jitterMs > 0 ? mean(times) : median(times);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, v) => sum + v, 0) / values.length;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

function deviation(values: readonly number[]): number {
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, v) => sum + (v - centre) ** 2, 0) / (values.length - 1));
}
