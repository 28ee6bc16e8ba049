import type { DirectionSettings, LinkSettings, LinkTrace } from '../types.js';
import { PACKET_BYTES } from '../wire.js';

type Deliveries = Extract<LinkTrace, { kind: 'deliveries' }>;

/** The windows over which the rate of a trace of deliveries is measured, in ms. */
const LEAST_WINDOW_MS = 600;
const MOST_WINDOW_MS = 3000;

/** Whether a trace changes a link while it runs. */
export function isTraced({ up, down }: LinkSettings): boolean {
  return up.trace !== undefined || down.trace !== undefined;
}

/** The link as it is at the beginning of its traces, and stays: what can be measured at leisure. */
export function withoutTraces(link: LinkSettings): LinkSettings {
  return { ...link, up: atTheStart(link.up), down: atTheStart(link.down) };
}

function atTheStart({ trace, ...around }: DirectionSettings): DirectionSettings {
  if (trace?.kind === 'deliveries') return { ...around, rateMbps: 0 };
  const [first] = trace?.steps ?? [];
  if (!first || first.atMs > 0) return around;
  const { atMs: _, ...own } = first;
  return { ...around, ...own };
}

/** What a trace of deliveries lets through in a window of time, wherever that begins. */
export interface DeliveryWindow {
  readonly windowMs: number;
  /** In 10^6 bit/s on the wire. */
  readonly leastMbps: number;
  readonly meanMbps: number;
  readonly mostMbps: number;
  /** The most of any 100 ms. */
  readonly peakMbps: number;
}

/** A trace's rate over whole repetitions where they are short, else over 3 s of it. */
export function deliveryWindow(trace: Deliveries): DeliveryWindow {
  const { lengthMs, atMs } = trace;
  const windowMs = lengthMs > MOST_WINDOW_MS ? MOST_WINDOW_MS : lengthMs * Math.ceil(LEAST_WINDOW_MS / lengthMs);
  const mbps = (packets: number, ms: number) => (packets * PACKET_BYTES * 8) / (ms * 1000);
  const { least, most } = packetsIn(trace, windowMs);
  const peakMs = Math.min(100, windowMs);
  return {
    windowMs,
    leastMbps: mbps(least, windowMs),
    meanMbps: mbps(atMs.length, lengthMs),
    mostMbps: mbps(most, windowMs),
    peakMbps: mbps(packetsIn(trace, peakMs).most, peakMs),
  };
}

/** The least and the most packets of any window that begins with a delivery, or just behind one. */
function packetsIn({ atMs, lengthMs }: Deliveries, windowMs: number): { least: number; most: number } {
  const count = atMs.length;
  const timeOf = (i: number) => (atMs[i % count] as number) + Math.floor(i / count) * lengthMs;
  let least = Number.POSITIVE_INFINITY;
  let most = 0;
  let end = 0;
  for (let begin = 0; begin < count; begin++) {
    while (timeOf(end) < timeOf(begin) + windowMs) end++;
    most = Math.max(most, end - begin);
    let behind = end;
    while (timeOf(behind) <= timeOf(begin) + windowMs) behind++;
    least = Math.min(least, behind - begin - 1);
  }
  return { least, most };
}
