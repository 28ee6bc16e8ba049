import { TierbedError } from '../../../base/errors.js';
import { nowMs } from '../clock.js';
import type { InterfaceStats, OpenInterface } from '../interface-driver.js';
import type { DirectionSettings } from '../types.js';
import { validateDirection } from '../validate.js';
import type { Chain } from './chain.js';
import { type ChainCounts, since } from './stats.js';
import { TraceSchedule } from './trace-steps.js';

/** The longest that a timer of Node can wait. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** An interface with a chain on it: one change at a time, and a trace stepped by this process's timer. */
export class ShapedInterface implements OpenInterface {
  readonly #name: string;
  readonly #chain: Chain;
  readonly #begun: ChainCounts;
  #last: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  /** Counts the settings, so that a step of earlier ones does nothing. */
  #generation = 0;
  #traceError: unknown;
  #closing: Promise<void> | undefined;

  constructor(name: string, chain: Chain, begun: ChainCounts) {
    this.#name = name;
    this.#chain = chain;
    this.#begun = begun;
  }

  async set(settings: DirectionSettings, blocked = false): Promise<void> {
    this.#assertOpen();
    validateDirection(this.#name, settings);
    const generation = ++this.#generation;
    clearTimeout(this.#timer);
    this.#traceError = undefined;
    if (settings.trace && !blocked) {
      await this.#step(new TraceSchedule(settings, settings.trace), nowMs(), generation);
    } else {
      await this.#inTurn(() => this.#chain.shape(settings, blocked));
    }
  }

  async stats(): Promise<InterfaceStats> {
    this.#assertOpen();
    // A link that no longer follows its trace must not be measured as if it did.
    if (this.#traceError) throw this.#traceError;
    return since(this.#begun, await this.#chain.counts());
  }

  close(): Promise<void> {
    this.#generation++;
    clearTimeout(this.#timer);
    this.#closing ??= this.#last.then(() => this.#chain.close());
    return this.#closing;
  }

  async #step(schedule: TraceSchedule, beganMs: number, generation: number): Promise<void> {
    const { settings, untilMs } = schedule.at(nowMs() - beganMs);
    await this.#inTurn(async () => {
      if (generation === this.#generation) await this.#chain.shape(settings, false);
    });
    if (generation !== this.#generation) return;
    const waitMs = Math.min(MAX_TIMER_MS, Math.max(1, Math.ceil(beganMs + untilMs - nowMs())));
    this.#timer = setTimeout(() => {
      this.#step(schedule, beganMs, generation).catch((error: unknown) => {
        if (generation === this.#generation) this.#traceError = error;
      });
    }, waitMs);
    this.#timer.unref();
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }

  #assertOpen(): void {
    if (this.#closing) throw new TierbedError('unavailable', `the link on ${this.#name} is closed`);
  }
}
