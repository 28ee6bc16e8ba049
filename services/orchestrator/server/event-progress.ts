import type { Progress } from '../../../base/progress.js';
import type { StepEvent, StudyStep } from './api.js';
import { Throttle } from './throttle.js';

const UPDATE_INTERVAL_MS = 200;

/** Progress of a run as events; updates are thinned out, beginnings and ends are not. */
export class EventProgress implements Progress {
  readonly #publish: (event: StepEvent) => void;
  readonly #throttle = new Throttle(UPDATE_INTERVAL_MS);
  #step: StudyStep | null = null;

  constructor(publish: (event: StepEvent) => void) {
    this.#publish = publish;
  }

  /** What is going on, to the last unit. */
  get step(): StudyStep | null {
    return this.#step;
  }

  start(label: string, total?: number): void {
    this.#throttle.flush();
    this.#step = { label, done: 0, total: total ?? null, note: null };
    this.#publish({ ...this.#step, is: 'start', summary: null });
  }

  update(done: number, note?: string): void {
    if (this.#step === null) return;
    const step: StudyStep = { ...this.#step, done, note: note ?? null };
    this.#step = step;
    this.#throttle.run(() => this.#publish({ ...step, is: 'update', summary: null }));
  }

  stop(summary?: string): void {
    this.#throttle.flush();
    if (this.#step === null) return;
    this.#publish({ ...this.#step, is: 'stop', summary: summary ?? null });
    this.#step = null;
  }
}
