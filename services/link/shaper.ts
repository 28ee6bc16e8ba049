import { Fifo } from './fifo.js';
import type { DirectionSettings } from './types.js';
import { PACKET_BYTES, SEGMENT_BYTES, serialisationMs, wireBytes } from './wire.js';

/** What may be on its way in a direction whose rate is not limited: 5 Gbit/s at 100 ms. */
export const UNLIMITED_BYTES = 64 * 1024 * 1024;

/** Payload that crosses an unlimited direction in one piece. */
const WHOLE_READ_BYTES = 64 * 1024;

/** A shaped piece goes through the rate limiter in at most this many packets (15.9 kB) at once. */
const MAX_QUANTUM_PACKETS = 11;

interface Entry<T> {
  readonly item: T;
  readonly payloadBytes: number;
  readonly wireBytes: number;
  /** When it no longer counts to the queue. */
  readonly leavesQueueMs: number;
  readonly releaseMs: number;
}

/** An item that reached the far end, and when it did so: before the time at which it was asked for. */
export interface Released<T> {
  readonly item: T;
  readonly atMs: number;
}

/**
 * One direction of a link: a queue before a rate limiter, then a delay line. First in, first out.
 *
 * Time is what the caller says it is, in milliseconds, so an item's times depend on when it came and not on when anybody
 * looked: a late wake-up delays one item, never those behind it.
 */
export class Shaper<T> {
  #settings: DirectionSettings;
  readonly #normal: () => number;
  readonly #line = new Fifo<Entry<T>>();
  /** How many entries at the front of the line have left the queue. */
  #departed = 0;
  #queuedBytes = 0;
  #lastDepartureMs = Number.NEGATIVE_INFINITY;
  #lastReleaseMs = Number.NEGATIVE_INFINITY;
  #releasedBytes = 0;

  /** @param normal draws from the standard normal distribution, for the jitter */
  constructor(settings: DirectionSettings, normal: () => number) {
    this.#settings = settings;
    this.#normal = normal;
  }

  /** Settings for what comes from now on; what is on its way keeps its times, and nothing overtakes it. */
  set(settings: DirectionSettings): void {
    this.#settings = settings;
  }

  /** Payload bytes that reached the far end. */
  get releasedBytes(): number {
    return this.#releasedBytes;
  }

  /**
   * Payload bytes that should go in at once: one packet up to 200 Mbit/s, then as many as pass in 0.12 ms. What follows in
   * series can begin only when such a piece is complete, so this is the error of the store-and-forward.
   */
  get quantumBytes(): number {
    const { rateMbps, queueBytes } = this.#settings;
    if (!rateMbps) return WHOLE_READ_BYTES;
    const packets = Math.min(MAX_QUANTUM_PACKETS, Math.floor(rateMbps / 100), Math.floor(queueBytes / PACKET_BYTES));
    return Math.max(1, packets) * SEGMENT_BYTES;
  }

  /** Whether the queue takes this payload at this time; an empty queue takes anything. */
  admits(payloadBytes: number, atMs: number): boolean {
    for (;;) {
      const first = this.#line.at(this.#departed);
      if (!first || first.leavesQueueMs > atMs) break;
      this.#queuedBytes -= first.wireBytes;
      this.#departed++;
    }
    const capacity = this.#settings.rateMbps ? this.#settings.queueBytes : UNLIMITED_BYTES;
    return this.#queuedBytes === 0 || this.#queuedBytes + wireBytes(payloadBytes) <= capacity;
  }

  /** When the next item leaves the queue, Infinity if it is empty. Ask `admits` first: it lets go of what has left. */
  get roomMs(): number {
    return this.#line.at(this.#departed)?.leavesQueueMs ?? Number.POSITIVE_INFINITY;
  }

  /** Puts an item in; its times follow from when it came. */
  push(item: T, payloadBytes: number, atMs: number): void {
    const { rateMbps, delayMs, jitterMs } = this.#settings;
    const departureMs = Math.max(atMs, this.#lastDepartureMs) + serialisationMs(payloadBytes, rateMbps);
    const delay = jitterMs > 0 ? Math.max(0, delayMs + jitterMs * this.#normal()) : delayMs;
    const releaseMs = Math.max(departureMs + delay, this.#lastReleaseMs);
    const bytes = wireBytes(payloadBytes);
    this.#line.push({
      item,
      payloadBytes,
      wireBytes: bytes,
      leavesQueueMs: rateMbps ? departureMs : releaseMs,
      releaseMs,
    });
    this.#queuedBytes += bytes;
    this.#lastDepartureMs = departureMs;
    this.#lastReleaseMs = releaseMs;
  }

  /** When the next item reaches the far end, Infinity if nothing is on its way. */
  get releaseMs(): number {
    return this.#line.at(0)?.releaseMs ?? Number.POSITIVE_INFINITY;
  }

  /** Takes the next item that reached the far end by this time. */
  shift(atMs: number): Released<T> | undefined {
    const first = this.#line.at(0);
    if (!first || first.releaseMs > atMs) return undefined;
    this.#line.shift();
    if (this.#departed > 0) this.#departed--;
    else this.#queuedBytes -= first.wireBytes;
    this.#releasedBytes += first.payloadBytes;
    return { item: first.item, atMs: first.releaseMs };
  }
}
