import { TierbedError } from '../../base/errors.js';

export interface QueueOptions {
  /** Aborts when the caller goes away or its deadline passes; its reason is what the caller is told. */
  readonly signal?: AbortSignal | undefined;
  /** Work of the node's own, such as opening a session: it waits its turn but is never turned away. */
  readonly unbounded?: boolean;
}

type Start = () => void;

/**
 * First come, first served, one at a time, with a bound on how many may wait.
 *
 * A task that runs cannot be interrupted (the runtime's `run` has no way to stop), so when its caller goes away the
 * caller is told at once and the place in the line stays taken until the task is through.
 */
export class WorkQueue {
  readonly #limit: number;
  readonly #waiting = new Set<Start>();
  #running = false;
  #idle: (() => void)[] = [];

  /** @param limit how many tasks may wait, beside the one that runs */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Tasks that wait. */
  get length(): number {
    return this.#waiting.size;
  }

  /** Tasks that wait or run. */
  get busy(): number {
    return this.#waiting.size + (this.#running ? 1 : 0);
  }

  /**
   * Runs `task` when its turn comes.
   *
   * @throws TierbedError `exhausted` when the queue is full; the signal's reason when the caller did not wait
   */
  run<T>(task: () => Promise<T>, options: QueueOptions = {}): Promise<T> {
    const { signal, unbounded = false } = options;
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (!unbounded && this.#running && this.#waiting.size >= this.#limit) {
      return Promise.reject(
        new TierbedError('exhausted', `the node's queue is full: ${this.#limit} requests wait already`, {
          fix: 'Send fewer requests at a time, or start the node with a larger --queue.',
        }),
      );
    }
    return new Promise<T>((resolve, reject) => {
      const start: Start = () => {
        task()
          .then(resolve, reject)
          .finally(() => {
            signal?.removeEventListener('abort', leave);
            this.#next();
          });
      };
      const leave = (): void => {
        this.#waiting.delete(start);
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', leave, { once: true });
      if (this.#running) this.#waiting.add(start);
      else {
        this.#running = true;
        start();
      }
    });
  }

  /** Resolves when nothing waits and nothing runs. */
  idle(): Promise<void> {
    if (!this.#running) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #next(): void {
    const [start] = this.#waiting;
    if (start) {
      this.#waiting.delete(start);
      start();
      return;
    }
    this.#running = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
