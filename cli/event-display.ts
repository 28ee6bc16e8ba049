import type { Progress } from '../base/progress.js';
import type { StreamEvent } from '../services/api-client/index.js';
import { createProgress } from './progress.js';

/** Shows a study that runs elsewhere as one that runs here. */
export class EventDisplay {
  readonly #progress: Progress;
  readonly #quiet: boolean;
  #label: string | undefined;
  #waiting = false;

  constructor(quiet: boolean) {
    this.#quiet = quiet;
    this.#progress = createProgress(process.stderr, { quiet });
  }

  show({ event, data }: StreamEvent): void {
    if (event === 'log') this.say(data.text);
    if (event === 'state') {
      if (data.position !== null) this.#wait(data.position);
      else this.#endWaiting();
    }
    if (event !== 'progress') return;
    this.#endWaiting();
    if (data.is === 'stop') {
      this.#progress.stop(data.summary ?? undefined);
      this.#label = undefined;
      return;
    }
    // After a break the beginning of a step may be missing.
    if (data.is === 'start' || this.#label !== data.label) this.#progress.start(data.label, data.total ?? undefined);
    this.#label = data.label;
    if (data.is === 'update') this.#progress.update(data.done, data.note ?? undefined);
  }

  #wait(position: number): void {
    if (!this.#waiting) this.#progress.start('waiting for other studies');
    this.#waiting = true;
    this.#progress.update(0, `number ${position} in the queue`);
  }

  #endWaiting(): void {
    if (this.#waiting) this.#progress.stop();
    this.#waiting = false;
  }

  /** A line of its own. */
  say(text: string): void {
    this.#progress.stop();
    this.#label = undefined;
    if (!this.#quiet) process.stderr.write(`${text}\n`);
  }

  end(): void {
    this.#progress.stop();
  }
}
