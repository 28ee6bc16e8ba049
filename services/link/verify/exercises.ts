import {
  type Arrival,
  type Exchange,
  type LinkProbe,
  MIN_DATAGRAM_BYTES,
  type PacketProbe,
} from '../probe/link-probe.js';
import { PING_BYTES } from '../probe/probe.js';
import type { Direction, LinkSettings } from '../types.js';
import { PACKET_BYTES, transferMs, wireBytes } from '../wire.js';
import { type Expected, leastMs, rateOf } from './expect.js';
import {
  type Judged,
  judgeDatagramRate,
  judgeDeliveries,
  judgeLoss,
  judgeMessage,
  judgePings,
  judgeRate,
  judgeTrains,
  type Tolerance,
} from './judge.js';
import { deliveryWindow } from './verify-trace.js';

/** A message of this size shows what a rate does to a single request. */
const MESSAGE_BYTES = 10_000;
const MESSAGES = 6;
/** A message as datagrams: so many, so often, until this many came whole. */
const TRAIN_PACKETS = 7;
const MAX_TRAINS = 24;
const TRAINS = 5;
const PINGS = 30;
const MIN_PINGS = 12;
/** Datagrams do not wait for answers, so more of them fit into the same time. */
const MAX_ECHOES = 150;
const PINGS_MS = 2000;
/** The first exchanges of a connection meet cold code and cold caches. */
const WARM_UP = 4;
const PING_INTERVAL_MS = 8;
const UNLIMITED_BULK_BYTES = 32 * 1024 * 1024;
const MAX_BULK_BYTES = 256 * 1024 * 1024;
/** The fastest link that is filled with datagrams; above, a thread does not keep up with every packet. */
const DATAGRAM_MBPS = 100;
/** Beyond this, a TCP connection's window may be what limits it. */
const TCP_WINDOW_BYTES = 2_000_000;
/** How much faster than a link its datagrams are sent. */
const OVERFILL = 1.3;
const LEAST_PACKETS = 40;
const MAX_FILL_MS = 2000;
/** Losses wanted, so that their number says something; packets sent for them, and how fast, at most. */
const LOSSES = 40;
const MIN_LOSS_PACKETS = 300;
const MAX_LOSS_PACKETS = 12_000;
const MAX_PACKETS_PER_MS = 5;
const LOSS_MS = 4000;

/** Both ends of a chain of links, and what it should do. */
export interface Exercising {
  readonly probe: LinkProbe;
  readonly up: Expected;
  readonly down: Expected;
  readonly tolerance: Tolerance;
  /** How long each direction is filled to measure its rate. */
  readonly bulkMs: number;
  /** Of the repeats of a small exercise, the share that the tolerance needs: 1, or less where less exact will do. */
  readonly effort: number;
}

type Test = () => Promise<readonly Judged[]>;

/** The exercises for one chain; each gives the same figures in the same order whenever it is done. */
export function exercises(on: Exercising): {
  readonly constant: readonly Test[];
  deliveries(link: LinkSettings): readonly Test[];
} {
  const { packets } = on.probe;
  const ways = ['up', 'down'] as const;
  return {
    constant: [
      () => pings(on),
      ...ways.map((way) => () => (packets ? trains(on, packets, way) : messages(on, way))),
      ...ways.map((way) => () => (packets && fillable(on, way) ? fill(on, packets, way) : bulk(on, way))),
      ...ways.flatMap((way) => (packets ? [() => losses(on, packets, way)] : [])),
    ],
    deliveries: (link) => (packets ? ways.flatMap((way) => deliveries(on, packets, link, way)) : []),
  };
}

/** Small messages one way and back, far enough apart that none waits for the one before it. */
async function pings({ probe, up, down, tolerance, effort }: Exercising): Promise<readonly Judged[]> {
  const serialMs = [up, down].map((expected) => transferMs(PING_BYTES, expected.ratesMbps));
  const intervalMs = Math.max(PING_INTERVAL_MS, 8 * Math.hypot(up.jitterMs, down.jitterMs), 4 * Math.max(...serialMs));
  const most = probe.packets && up.jitterMs + down.jitterMs > 0 ? MAX_ECHOES : PINGS;
  const count = Math.max(MIN_PINGS, Math.floor(effort * Math.min(most, PINGS_MS / intervalMs))) + WARM_UP;
  const bytes = PING_BYTES;
  const tripMs = leastMs(up, bytes) + leastMs(down, bytes) + 8 * (up.jitterMs + down.jitterMs);
  const all = probe.packets
    ? await probe.packets.echo({
        wireBytes: wireBytes(bytes),
        count,
        intervalMs,
        settleMs: tripMs + 200,
        maxBurst: 1,
      })
    : await probe.exchange({
        upBytes: bytes,
        downBytes: bytes,
        count,
        intervalMs,
        timeoutMs: 5000 + 3 * (tripMs + count * intervalMs),
      });
  return judgePings(all.slice(WARM_UP), bytes, up, down, tolerance);
}

async function messages(on: Exercising, direction: Direction): Promise<readonly Judged[]> {
  const [expected, back] = direction === 'up' ? [on.up, on.down] : [on.down, on.up];
  const most = Math.min(MESSAGES, 500 / (leastMs(expected, MESSAGE_BYTES) + back.delayMs));
  const count = Math.max(2, Math.floor(on.effort * most));
  const all = await exchange(on, direction, MESSAGE_BYTES, count + 1);
  return [judgeMessage(all.slice(1), MESSAGE_BYTES, direction, expected, on.tolerance)];
}

/**
 * The message as the packets that it would be, handed over at once and never sent again. A connection would show how its
 * sender's congestion control spaces them (BBR does) and when it sends them again, which is not the link's doing.
 */
async function trains(on: Exercising, packets: PacketProbe, direction: Direction): Promise<readonly Judged[]> {
  const expected = on[direction];
  const bytes = Math.ceil(wireBytes(MESSAGE_BYTES) / TRAIN_PACKETS);
  const whole: (readonly Arrival[])[] = [];
  for (let train = 0; train < MAX_TRAINS && whole.length < TRAINS; train++) {
    const arrivals = await packets.datagrams({
      direction,
      wireBytes: bytes,
      count: TRAIN_PACKETS,
      intervalMs: 0.001,
      settleMs: leastMs(expected, MESSAGE_BYTES) + 8 * expected.jitterMs + 50,
      maxBurst: 0,
    });
    if (arrivals.length === TRAIN_PACKETS) whole.push(arrivals);
  }
  return [judgeTrains(whole, bytes, MESSAGE_BYTES, direction, expected, on.tolerance)];
}

/** Whether datagrams measure a rate better than a connection does. */
function fillable(on: Exercising, direction: Direction): boolean {
  const rateMbps = rateOf(on[direction]);
  if (rateMbps === null) return false;
  const windowBytes = rateMbps * 125 * (on.up.delayMs + on.down.delayMs);
  return rateMbps <= DATAGRAM_MBPS || on[direction].loss > 0 || windowBytes > TCP_WINDOW_BYTES;
}

/** Long enough that the jitter of the last packet is a small part of it. */
function fillMs({ bulkMs }: Exercising, { jitterMs }: Expected): number {
  return Math.min(1500, Math.max(bulkMs, 250 * jitterMs));
}

/** Fills a direction with datagrams: what comes out of it comes at its rate, from the first one on. */
async function fill(on: Exercising, packets: PacketProbe, direction: Direction): Promise<readonly Judged[]> {
  const expected = on[direction];
  const rateMbps = rateOf(expected) as number;
  const bitsPerMs = rateMbps * 1000;
  const packetBytes = Math.min(PACKET_BYTES, (bitsPerMs * MAX_FILL_MS) / 8 / LEAST_PACKETS);
  const bytes = Math.max(MIN_DATAGRAM_BYTES, Math.floor(packetBytes));
  const packetMs = (bytes * 8) / bitsPerMs;
  const durationMs = Math.max(fillMs(on, expected), LEAST_PACKETS * packetMs);
  const intervalMs = (packetMs * (1 - Math.min(0.9, expected.loss))) / OVERFILL;
  const arrivals = await packets.datagrams({
    direction,
    wireBytes: bytes,
    count: Math.ceil(durationMs / intervalMs),
    intervalMs,
    settleMs: OVERFILL * (OVERFILL - 1) * durationMs + expected.delayMs + 8 * expected.jitterMs + 100,
    maxBurst: 0,
  });
  return [judgeDatagramRate(arrivals, bytes, direction, expected, on.tolerance)];
}

async function bulk(on: Exercising, direction: Direction): Promise<readonly Judged[]> {
  const expected = on[direction];
  const rateMbps = rateOf(expected);
  const bytesPerMs = (rateMbps ?? 0) * 125;
  // A connection's window doubles every round trip until it fills the way: all that must be in the earlier half.
  const startBytes = on.probe.packets ? 4 * bytesPerMs * (on.up.delayMs + on.down.delayMs) : 0;
  const wanted =
    rateMbps === null
      ? UNLIMITED_BULK_BYTES
      : Math.max(LEAST_PACKETS * PACKET_BYTES, bytesPerMs * fillMs(on, expected), 2 * startBytes);
  const [exchanged] = (await exchange(on, direction, Math.round(Math.min(MAX_BULK_BYTES, wanted)), 1)) as [Exchange];
  return [judgeRate(exchanged, direction, expected, on.tolerance)];
}

function exchange(
  { probe, up, down }: Exercising,
  direction: Direction,
  bytes: number,
  count: number,
): Promise<readonly Exchange[]> {
  const [upBytes, downBytes] = direction === 'up' ? [bytes, PING_BYTES] : [PING_BYTES, bytes];
  const eachMs = leastMs(up, upBytes) + leastMs(down, downBytes) + 6 * (up.jitterMs + down.jitterMs);
  return probe.exchange({ upBytes, downBytes, count, intervalMs: 0, timeoutMs: 5000 + 3 * (count + 1) * eachMs });
}

/** Small datagrams at half of the rate at most, so that none gets lost for want of room. */
async function losses(on: Exercising, packets: PacketProbe, direction: Direction): Promise<readonly Judged[]> {
  const expected = on[direction];
  const bytes = MIN_DATAGRAM_BYTES;
  const packetMs = (bytes * 8) / ((rateOf(expected) ?? Number.POSITIVE_INFINITY) * 1000);
  const intervalMs = Math.max(2 * packetMs, 1 / MAX_PACKETS_PER_MS);
  const wanted = expected.loss > 0 ? (LOSSES * expected.lossSpread) / expected.loss : 0;
  const count = Math.ceil(
    Math.min(MAX_LOSS_PACKETS, LOSS_MS / intervalMs, Math.max(Math.min(MIN_LOSS_PACKETS, 1000 / intervalMs), wanted)),
  );
  const arrivals = await packets.datagrams({
    direction,
    wireBytes: bytes,
    count,
    intervalMs,
    settleMs: expected.delayMs + 8 * expected.jitterMs + 200,
    maxBurst: Math.max(1, Math.min(16, Math.floor(expected.queueBytes / bytes / 2))),
  });
  return judgeLoss(arrivals, count, direction, expected);
}

/** Fills a direction while a trace of deliveries runs over it, faster than it ever lets packets through. */
function deliveries(
  { tolerance, up, down }: Exercising,
  packets: PacketProbe,
  link: LinkSettings,
  direction: Direction,
): readonly Test[] {
  const { trace, delayMs } = link[direction];
  if (trace?.kind !== 'deliveries') return [];
  const window = deliveryWindow(trace);
  const warmUpMs = 100;
  return [
    async () => {
      const intervalMs = (PACKET_BYTES * 8) / (OVERFILL * Math.max(window.peakMbps, window.meanMbps) * 1000);
      const arrivals = await packets.datagrams({
        direction,
        wireBytes: PACKET_BYTES,
        count: Math.ceil((window.windowMs + 3 * warmUpMs) / intervalMs),
        intervalMs,
        settleMs: delayMs + 8 * Math.max(up.jitterMs, down.jitterMs) + 100,
        maxBurst: 0,
      });
      const fromMs = (arrivals[0]?.arrivedMs ?? 0) + warmUpMs;
      const inWindow = arrivals.filter(({ arrivedMs: ms }) => ms > fromMs && ms <= fromMs + window.windowMs);
      return [judgeDeliveries(inWindow.length, direction, window, tolerance)];
    },
  ];
}
