import type { LinkTrace } from '../types.js';
import { PACKET_BYTES } from '../wire.js';
import { firstIndex, type TraceClock } from './trace-clock.js';

/** A piece of a trace shorter than this is passed over: rounding must not hold the clock. */
const LEAST_STRETCH_MS = 1e-6;

/**
 * When the last bit of a packet has left, given when its first one may. Where a trace changes the rate on the way, each part
 * leaves at the rate of its time.
 */
export function serialisedMs(wireBytes: number, startMs: number, clock: TraceClock): number {
  let bits = wireBytes * 8;
  let timeMs = startMs;
  for (;;) {
    const { settings, untilMs } = clock.at(timeMs);
    if (!settings.rateMbps) return timeMs;
    const doneMs = timeMs + bits / (settings.rateMbps * 1000);
    if (doneMs <= untilMs) return doneMs;
    bits -= Math.max(0, untilMs - timeMs) * settings.rateMbps * 1000;
    timeMs = Math.max(untilMs, timeMs + LEAST_STRETCH_MS);
  }
}

type Deliveries = Extract<LinkTrace, { kind: 'deliveries' }>;

/**
 * Mahimahi's link: at each of the trace's times one packet of 1500 IP bytes may leave, or smaller ones that wait together
 * and are no more in sum, or the next part of a larger one. A chance at which nothing waits is lost.
 */
export class DeliverySchedule {
  readonly #trace: Deliveries;
  readonly #beganMs: number;
  /** The chance in use, counted over all repetitions, and the bytes that may still leave at it. */
  #chance = -1;
  #leftBytes = 0;

  constructor(trace: Deliveries, atMs: number) {
    this.#trace = trace;
    this.#beganMs = atMs;
  }

  /** When the last byte of a packet leaves that is the first to wait from `startMs` on. */
  departureMs(wireBytes: number, startMs: number): number {
    if (this.#leftBytes <= 0 || this.#timeOf(this.#chance) < startMs) {
      this.#chance = Math.max(this.#chance + 1, this.#firstFrom(startMs));
      this.#leftBytes = PACKET_BYTES;
    }
    let bytes = wireBytes;
    while (bytes > this.#leftBytes) {
      bytes -= this.#leftBytes;
      this.#chance++;
      this.#leftBytes = PACKET_BYTES;
    }
    this.#leftBytes -= bytes;
    return this.#timeOf(this.#chance);
  }

  #timeOf(chance: number): number {
    const { atMs, lengthMs } = this.#trace;
    return this.#beganMs + Math.floor(chance / atMs.length) * lengthMs + (atMs[chance % atMs.length] as number);
  }

  #firstFrom(timeMs: number): number {
    const { atMs, lengthMs } = this.#trace;
    const cycle = Math.max(0, Math.floor((timeMs - this.#beganMs) / lengthMs));
    const offsetMs = timeMs - this.#beganMs - cycle * lengthMs;
    return cycle * atMs.length + firstIndex(atMs.length, (i) => (atMs[i] as number) >= offsetMs);
  }
}
