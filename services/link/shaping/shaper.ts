import type { DirectionSettings } from '../types.js';
import { PACKET_BYTES, SEGMENT_BYTES, wireBytes } from '../wire.js';
import type { Draws } from './jitter.js';
import { Transit } from './transit.js';

/** Payload that crosses an unlimited direction in one piece. */
const WHOLE_READ_BYTES = 64 * 1024;

/** A shaped piece goes through the rate limiter in at most this many packets (15.9 kB) at once. */
const MAX_QUANTUM_PACKETS = 11;

/** An item that reached the far end, and when it did so: before the time at which it was asked for. */
export interface Released<T> {
  readonly item: T;
  readonly atMs: number;
}

/** One direction of a link for pieces of a stream: they are counted in payload, and shaped as the packets they would be. */
export class Shaper<T> {
  #settings: DirectionSettings;
  readonly #transit: Transit<{ readonly item: T; readonly payloadBytes: number }>;
  #releasedBytes = 0;

  /** @param random draws the jitter */
  constructor(settings: DirectionSettings, random: Draws, atMs: number) {
    this.#settings = settings;
    this.#transit = new Transit(settings, random, atMs);
  }

  /** Settings for what comes from now on; what is on its way keeps its times, and nothing overtakes it. */
  set(settings: DirectionSettings, atMs: number): void {
    this.#settings = settings;
    this.#transit.set(settings, atMs);
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
    const { rateMbps, queueBytes, trace } = this.#settings;
    if (trace?.kind === 'deliveries') return SEGMENT_BYTES;
    const ratesMbps = [rateMbps, ...(trace?.steps.map((step) => step.rateMbps) ?? [])].filter((rate) => !!rate);
    if (ratesMbps.length === 0) return WHOLE_READ_BYTES;
    const slowestMbps = Math.min(...(ratesMbps as number[]));
    const packets = Math.min(MAX_QUANTUM_PACKETS, Math.floor(slowestMbps / 100), Math.floor(queueBytes / PACKET_BYTES));
    return Math.max(1, packets) * SEGMENT_BYTES;
  }

  /** Whether the queue takes this payload at this time; an empty queue takes anything. */
  admits(payloadBytes: number, atMs: number): boolean {
    return this.#transit.admits(wireBytes(payloadBytes), atMs);
  }

  /** When the next item leaves the queue, Infinity if it is empty. Ask `admits` first: it lets go of what has left. */
  get roomMs(): number {
    return this.#transit.roomMs;
  }

  /** Puts an item in; its times follow from when it came. */
  push(item: T, payloadBytes: number, atMs: number): void {
    this.#transit.push({ item, payloadBytes }, wireBytes(payloadBytes), atMs);
  }

  /** When the next item reaches the far end, Infinity if nothing is on its way. */
  get releaseMs(): number {
    return this.#transit.releaseMs;
  }

  /** Takes the next item that reached the far end by this time. */
  shift(atMs: number): Released<T> | undefined {
    const next = this.#transit.shift(atMs);
    if (!next) return undefined;
    this.#releasedBytes += next.item.payloadBytes;
    return { item: next.item.item, atMs: next.atMs };
  }
}
