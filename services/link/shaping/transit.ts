import type { DirectionSettings } from '../types.js';
import { Fifo } from './fifo.js';
import { type Draws, drawDelayMs } from './jitter.js';
import { DeliverySchedule, serialisedMs } from './rate-limiter.js';
import { TraceClock } from './trace-clock.js';

/** What may be on its way in a direction whose rate is not limited: 5 Gbit/s at 100 ms. */
export const UNLIMITED_BYTES = 64 * 1024 * 1024;

interface Entry<T> {
  readonly item: T;
  readonly wireBytes: number;
  /** When it has left the queue for the delay line. */
  readonly departureMs: number;
  readonly releaseMs: number;
}

/** An item that reached the far end, and when it did so: before the time at which it was asked for. */
export interface Released<T> {
  readonly item: T;
  readonly wireBytes: number;
  readonly atMs: number;
}

/**
 * One direction of a link: a queue before a rate limiter, then a delay line. First in, first out.
 *
 * Time is what the caller says it is, in milliseconds, so an item's times depend on when it came and not on when anybody
 * looked: a late wake-up delays one item, never those behind it.
 */
export class Transit<T> {
  #settings: DirectionSettings;
  #clock: TraceClock;
  #deliveries: DeliverySchedule | undefined;
  readonly #random: Draws;
  readonly #line = new Fifo<Entry<T>>();
  /** How many entries at the front of the line have left the queue. */
  #departed = 0;
  #queuedBytes = 0;
  #wayBytes = 0;
  #lastDepartureMs = Number.NEGATIVE_INFINITY;
  #lastReleaseMs = Number.NEGATIVE_INFINITY;

  /** @param random for the jitter */
  constructor(settings: DirectionSettings, random: Draws, atMs: number) {
    this.#random = random;
    this.#settings = settings;
    this.#clock = new TraceClock(settings, atMs);
    this.#deliveries = scheduleOf(settings, atMs);
  }

  /**
   * Settings for what comes from now on; what is on its way keeps its times, and nothing overtakes it. A trace begins at
   * `atMs`.
   */
  set(settings: DirectionSettings, atMs: number): void {
    this.#settings = settings;
    this.#clock = new TraceClock(settings, atMs);
    this.#deliveries = scheduleOf(settings, atMs);
  }

  /** What is set at this time, with what a trace says. */
  settingsAt(atMs: number): DirectionSettings {
    return this.#clock.at(atMs).settings;
  }

  /** Bytes on the wire that wait for the rate limiter at this time. */
  queuedBytes(atMs: number): number {
    for (;;) {
      const first = this.#line.at(this.#departed);
      if (!first || first.departureMs > atMs) return this.#queuedBytes;
      this.#queuedBytes -= first.wireBytes;
      this.#departed++;
    }
  }

  /** Whether there is room for this many bytes at this time; where nothing is, anything fits. */
  admits(wireBytes: number, atMs: number): boolean {
    const queuedBytes = this.queuedBytes(atMs);
    if (!this.#limited(atMs) && queuedBytes === 0) {
      return this.#wayBytes === 0 || this.#wayBytes + wireBytes <= UNLIMITED_BYTES;
    }
    return queuedBytes === 0 || queuedBytes + wireBytes <= this.#settings.queueBytes;
  }

  /** When there will be more room, Infinity if nothing is in the way. Ask `admits` first: it lets go of what has left. */
  get roomMs(): number {
    return this.#line.at(this.#departed)?.departureMs ?? this.releaseMs;
  }

  /** Puts an item in; its times follow from when it came. */
  push(item: T, wireBytes: number, atMs: number): void {
    const startMs = Math.max(atMs, this.#lastDepartureMs);
    const departureMs = this.#deliveries
      ? this.#deliveries.departureMs(wireBytes, startMs)
      : serialisedMs(wireBytes, startMs, this.#clock);
    const delayMs = drawDelayMs(this.#clock.at(departureMs).settings, this.#random);
    const releaseMs = Math.max(departureMs + delayMs, this.#lastReleaseMs);
    this.#line.push({ item, wireBytes, departureMs, releaseMs });
    this.#queuedBytes += wireBytes;
    this.#wayBytes += wireBytes;
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
    this.#wayBytes -= first.wireBytes;
    return { item: first.item, wireBytes: first.wireBytes, atMs: first.releaseMs };
  }

  /** Takes everything that is on its way, in order; the limiter is free again. */
  clear(): T[] {
    const items: T[] = [];
    for (let next = this.#line.shift(); next; next = this.#line.shift()) items.push(next.item);
    this.#departed = 0;
    this.#queuedBytes = 0;
    this.#wayBytes = 0;
    this.#lastDepartureMs = Number.NEGATIVE_INFINITY;
    this.#lastReleaseMs = Number.NEGATIVE_INFINITY;
    return items;
  }

  #limited(atMs: number): boolean {
    return this.#deliveries !== undefined || Boolean(this.settingsAt(atMs).rateMbps);
  }
}

function scheduleOf({ trace }: DirectionSettings, atMs: number): DeliverySchedule | undefined {
  return trace?.kind === 'deliveries' && trace.atMs.length > 0 ? new DeliverySchedule(trace, atMs) : undefined;
}
