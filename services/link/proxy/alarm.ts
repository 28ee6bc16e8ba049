import { Worker } from 'node:worker_threads';
import { nowMs } from '../clock.js';

/** Deadlines that are no time: nothing set, and the order to end. */
export const IDLE = 0n;
export const ENDED = -1n;

/** Waking up is expected to take at most this long; anything longer is the machine being busy, not a habit. */
const MAX_WAKE_MS = 0.5;

function smooth(meanMs: number, sampleMs: number): number {
  return meanMs + (Math.min(MAX_WAKE_MS, sampleMs) - meanMs) / 16;
}

/**
 * A one-shot timer that is right to about a tenth of a millisecond, where an event loop's timers know whole milliseconds:
 * a thread of its own sleeps on a futex and wakes this one with a message. It takes no processor time while it waits, and
 * sets out as much earlier as waking up has lately taken.
 */
export class Alarm {
  readonly #cell = new BigInt64Array(new SharedArrayBuffer(8));
  readonly #thread: Worker;
  /** When the thread is to wake. */
  #armedMs = Number.POSITIVE_INFINITY;
  #leadMs = 0.2;
  #wakeMs = 0.1;

  /** @param ring is called about the time last set: early or late by a fraction of a millisecond, or for nothing */
  constructor(ring: () => void) {
    this.#thread = new Worker(new URL('./alarm-worker.js', import.meta.url), { workerData: this.#cell });
    this.#thread.unref();
    this.#thread.on('message', (postedMs: number) => {
      const atMs = nowMs();
      this.#leadMs = smooth(this.#leadMs, atMs - this.#armedMs);
      this.#wakeMs = smooth(this.#wakeMs, atMs - postedMs);
      this.#armedMs = Number.POSITIVE_INFINITY;
      ring();
    });
  }

  /** How long this thread has lately taken to notice what happened while it slept. */
  get wakeMs(): number {
    return this.#wakeMs;
  }

  /** Rings at this time of the host's monotonic clock, unless it already rings earlier. */
  set(atMs: number): void {
    const armedMs = Math.max(atMs - this.#leadMs, nowMs());
    // An earlier ring that finds nothing due costs less than a futex call for every change.
    if (armedMs >= this.#armedMs) return;
    this.#armedMs = armedMs;
    Atomics.store(this.#cell, 0, BigInt(Math.round(armedMs * 1e6)));
    Atomics.notify(this.#cell, 0);
  }

  async close(): Promise<void> {
    Atomics.store(this.#cell, 0, ENDED);
    Atomics.notify(this.#cell, 0);
    await this.#thread.terminate();
  }
}
