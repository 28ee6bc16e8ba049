/** Runs the newest of what it is given, at most once in a while; what is put off is run in the end. */
export class Throttle {
  readonly #intervalMs: number;
  #lastMs = Number.NEGATIVE_INFINITY;
  #waiting: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  run(work: () => void): void {
    this.#waiting = work;
    const dueInMs = this.#lastMs + this.#intervalMs - performance.now();
    if (dueInMs <= 0) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), dueInMs).unref();
  }

  /** Runs at once what is waiting. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const work = this.#waiting;
    this.#waiting = undefined;
    if (work === undefined) return;
    this.#lastMs = performance.now();
    work();
  }
}
