import type { DirectionSettings, LinkTrace } from '../types.js';

/** Settings, and until when they hold. */
export interface Stretch {
  readonly settings: DirectionSettings;
  readonly fromMs: number;
  readonly untilMs: number;
}

type Steps = Extract<LinkTrace, { kind: 'steps' }>;

/** What a direction's settings are at any time: those that were set, or a trace of steps over them. */
export class TraceClock {
  readonly #base: DirectionSettings;
  readonly #steps: Steps | undefined;
  /** By step: the settings with the step's own over them. */
  readonly #merged: readonly DirectionSettings[];
  readonly #beganMs: number;
  #current: Stretch;

  /** @param atMs when the settings come into force, and the trace begins */
  constructor(settings: DirectionSettings, atMs: number) {
    this.#base = settings;
    this.#beganMs = atMs;
    this.#steps = settings.trace?.kind === 'steps' && settings.trace.steps.length > 0 ? settings.trace : undefined;
    this.#merged = (this.#steps?.steps ?? []).map(({ atMs: _at, ...own }) => ({ ...settings, ...own }));
    this.#current = { settings, fromMs: Number.NEGATIVE_INFINITY, untilMs: Number.POSITIVE_INFINITY };
    if (this.#steps) this.#current = this.#find(this.#steps, atMs);
  }

  /** The settings that hold at this time. */
  at(timeMs: number): Stretch {
    if (!this.#steps || (timeMs >= this.#current.fromMs && timeMs < this.#current.untilMs)) return this.#current;
    this.#current = this.#find(this.#steps, Math.max(timeMs, this.#beganMs));
    return this.#current;
  }

  #find({ steps, lengthMs }: Steps, timeMs: number): Stretch {
    const cycleMs = this.#beganMs + Math.floor((timeMs - this.#beganMs) / lengthMs) * lengthMs;
    const next = firstIndex(steps.length, (i) => cycleMs + (steps[i]?.atMs ?? 0) > timeMs);
    return {
      settings: next === 0 ? this.#base : (this.#merged[next - 1] as DirectionSettings),
      fromMs: cycleMs + (next === 0 ? 0 : (steps[next - 1]?.atMs ?? 0)),
      untilMs: cycleMs + Math.min(lengthMs, steps[next]?.atMs ?? lengthMs),
    };
  }
}

/** The least index in 0..count for which `holds` is true (count if none), given that it stays true from there on. */
export function firstIndex(count: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
