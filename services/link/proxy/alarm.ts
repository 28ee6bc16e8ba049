import { Worker } from 'node:worker_threads';

/** Deadlines that are no time: nothing set, and the order to end. */
export const IDLE = 0n;
export const ENDED = -1n;

/**
 * A one-shot timer that is right to about a tenth of a millisecond, where an event loop's timers know whole milliseconds:
 * a thread of its own sleeps on a futex and wakes this one with a message. It takes no processor time while it waits.
 */
export class Alarm {
  readonly #cell = new BigInt64Array(new SharedArrayBuffer(8));
  readonly #thread: Worker;
  #setMs = Number.POSITIVE_INFINITY;

  /** @param ring is called at or after the time last set */
  constructor(ring: () => void) {
    this.#thread = new Worker(new URL('./alarm-worker.js', import.meta.url), { workerData: this.#cell });
    this.#thread.unref();
    this.#thread.on('message', () => {
      this.#setMs = Number.POSITIVE_INFINITY;
      ring();
    });
  }

  /** Rings at this time of the host's monotonic clock, unless it already rings earlier. */
  set(atMs: number): void {
    // An earlier ring that finds nothing due costs less than a futex call for every change.
    if (atMs >= this.#setMs) return;
    this.#setMs = atMs;
    Atomics.store(this.#cell, 0, BigInt(Math.max(1, Math.round(atMs * 1e6))));
    Atomics.notify(this.#cell, 0);
  }

  async close(): Promise<void> {
    Atomics.store(this.#cell, 0, ENDED);
    Atomics.notify(this.#cell, 0);
    await this.#thread.terminate();
  }
}
