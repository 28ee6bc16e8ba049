import { binomialRange } from '../../../analysis/stats/binomial-range.js';
import { median } from '../../../base/median.js';
import type { Arrival, Exchange } from '../probe/link-probe.js';
import type { Direction } from '../types.js';
import { PACKET_BYTES, passedMs, SEGMENT_BYTES, transferMs } from '../wire.js';
import { type Expected, leastMs, rateOf } from './expect.js';
import type { DeliveryWindow } from './verify-trace.js';

export type FigureName =
  | 'delayMs'
  | 'jitterMs'
  | 'roundTripMs'
  | 'messageMs'
  | 'rateMbps'
  | 'lossPct'
  | 'lossBurstPackets';

/** How sure a count of losses must be not to be chance before a link is called wrong. */
const LOSS_PROBABILITY = 0.999;
/** Fewer runs of losses say nothing of their length. */
const LEAST_RUNS = 10;

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
  /** Of what it was measured, where that is not all that is set. */
  readonly note?: string;
}

export type Judged = Omit<LinkFigure, 'link' | 'attempts'>;

/** How far a figure may be off: times by `ms` or `share` of what was set, whichever is more; rates by `share`. */
export interface Tolerance {
  readonly ms: number;
  readonly share: number;
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
      // Each way may be off.
      { ...tolerance, ms: 2 * tolerance.ms },
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
  // Of a standard deviation s the error is s / 2 times the root of (kurtosis - 1) / n.
  const spreadMs = 1.5 * jitterMs * Math.sqrt((expected.kurtosis - 1) / times.length);
  const delay = judgeTime(direction, 'delayMs', delayMs, centre(times, jitterMs), tolerance, extraMs);
  if (jitterMs === 0) return [delay];
  return [delay, judgeTime(direction, 'jitterMs', jitterMs, deviation(times), tolerance, spreadMs)];
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

/**
 * The same of messages that went as datagrams, each of them whole. What a sender takes to hand them over is not the link's:
 * how late the last one is counts from when it should have come, given when each was sent.
 */
export function judgeTrains(
  trains: readonly (readonly Arrival[])[],
  packetBytes: number,
  messageBytes: number,
  direction: Direction,
  expected: Expected,
  tolerance: Tolerance,
): Judged {
  const set = leastMs(expected, messageBytes);
  const late = trains.map((arrivals) => {
    const sent = arrivals.map(({ sentMs }) => sentMs).toSorted((a, b) => a - b);
    const due = (passedMs(sent, packetBytes, expected.ratesMbps).at(-1) as number) + expected.delayMs;
    return Math.max(...arrivals.map(({ arrivedMs }) => arrivedMs)) - due;
  });
  const measured = set + (late.length > 0 ? median(late) : Number.NaN);
  return judgeTime(direction, 'messageMs', set, measured, tolerance, 3 * expected.jitterMs);
}

/** The rate on the wire over the later half of a long message. */
export function judgeRate(bulk: Exchange, direction: Direction, expected: Expected, tolerance: Tolerance): Judged {
  const tail = direction === 'up' ? bulk.upTail : bulk.downTail;
  const measured = (tail.bytes * 8 * (PACKET_BYTES / SEGMENT_BYTES)) / (tail.ms * 1000);
  return judgeMbps(measured, tail.ms, direction, expected, tolerance);
}

/** The rate at which datagrams came that were sent faster than they can pass; the first tenth is left out. */
export function judgeDatagramRate(
  arrivals: readonly Arrival[],
  wireBytes: number,
  direction: Direction,
  expected: Expected,
  tolerance: Tolerance,
): Judged {
  const rest = arrivals.slice(Math.floor(arrivals.length / 10));
  const ms = (rest.at(-1)?.arrivedMs ?? 0) - (rest[0]?.arrivedMs ?? 0);
  const measured = ms > 0 ? ((rest.length - 1) * wireBytes * 8) / (ms * 1000) : 0;
  return judgeMbps(measured, ms, direction, expected, tolerance);
}

function judgeMbps(
  measured: number,
  overMs: number,
  direction: Direction,
  expected: Expected,
  { share }: Tolerance,
): Judged {
  const set = rateOf(expected);
  if (set === null) return { direction, figure: 'rateMbps', set, measured, tolerance: 0, ok: true };
  // A packet that gets lost may have taken its time on the wire or not: drivers differ, and so do networks.
  const least = set * (1 - expected.loss);
  const tolerance = set * (share + (3 * expected.jitterMs) / Math.max(overMs, 1));
  const ok = measured >= least - tolerance && measured <= set + tolerance;
  return { direction, figure: 'rateMbps', set, measured, tolerance, ok };
}

/** The rate of a trace of deliveries, from datagrams that came in one of its windows. */
export function judgeDeliveries(
  packets: number,
  direction: Direction,
  window: DeliveryWindow,
  { share }: Tolerance,
): Judged & { readonly note: string } {
  const onePacket = (PACKET_BYTES * 8) / (window.windowMs * 1000);
  const extra = window.meanMbps * share + 2 * onePacket;
  const measured = packets * onePacket;
  return {
    direction,
    figure: 'rateMbps',
    set: window.meanMbps,
    measured,
    tolerance: Math.max(window.mostMbps - window.meanMbps, window.meanMbps - window.leastMbps) + extra,
    ok: measured >= window.leastMbps - extra && measured <= window.mostMbps + extra,
    note: `the trace over ${window.windowMs} ms`,
  };
}

/**
 * The share of datagrams that got lost, against the range in which chance leaves it, and the length of the runs in which
 * they did.
 */
export function judgeLoss(
  arrivals: readonly Arrival[],
  sent: number,
  direction: Direction,
  { loss, lossSpread, lossBurstPackets }: Expected,
): Judged[] {
  const came = new Set(arrivals.map(({ sequence }) => sequence));
  const lost = sent - came.size;
  // So many independent packets would say as much.
  const worth = Math.max(1, Math.round(sent / lossSpread));
  const { low, high } = binomialRange(worth, loss, LOSS_PROBABILITY);
  const share = lost / sent;
  const figures: Judged[] = [
    {
      direction,
      figure: 'lossPct',
      set: loss * 100,
      measured: share * 100,
      tolerance: Math.max(high / worth - loss, loss - low / worth) * 100,
      ok: share >= low / worth && share <= high / worth,
    },
  ];
  if (lossBurstPackets === undefined) return figures;
  let runs = 0;
  for (let i = 0; i < sent; i++) if (!came.has(i) && (i === 0 || came.has(i - 1))) runs++;
  const mean = Math.max(lossBurstPackets, loss / (1 - loss));
  const measured = runs > 0 ? lost / runs : 0;
  // The length of a run is geometric: its variance is mean * (mean - 1).
  const tolerance = (4 * Math.sqrt(mean * (mean - 1))) / Math.sqrt(Math.max(1, runs)) + 0.02 * mean;
  const figure = 'lossBurstPackets';
  const ok = runs < LEAST_RUNS || Math.abs(measured - mean) <= tolerance;
  return [...figures, { direction, figure, set: mean, measured, tolerance, ok }];
}

/** Of links that let nothing through: whether anything came all the same. */
export function judgeBlocked(came: boolean): Judged & { readonly note: string } {
  const note = 'nothing is to pass';
  return { direction: 'both', figure: 'lossPct', set: 100, measured: came ? 0 : 100, tolerance: 0, ok: !came, note };
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

function deviation(values: readonly number[]): number {
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, v) => sum + (v - centre) ** 2, 0) / (values.length - 1));
}
