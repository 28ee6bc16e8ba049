import type { DirectionSettings, LinkTrace, TraceStep } from '../types.js';
import { PACKET_BYTES } from '../wire.js';

/** Deliveries are counted over this long: the kernel is told a rate, ten times a second at most. */
export const BIN_MS = 100;

/** A step of a trace, as settings in full. */
export interface TimedSettings {
  readonly atMs: number;
  readonly settings: DirectionSettings;
}

/** A trace as settings that follow one another: `at` gives those that hold and when the next ones do. */
export class TraceSchedule {
  readonly #steps: readonly TimedSettings[];
  readonly #lengthMs: number;

  constructor(settings: DirectionSettings, trace: LinkTrace) {
    const { trace: _, ...base } = settings;
    const steps = trace.kind === 'steps' ? trace.steps : deliverySteps(trace.atMs, trace.lengthMs);
    const before = (steps[0]?.atMs ?? 0) > 0 ? [{ atMs: 0, settings: base }] : [];
    this.#steps = [...before, ...steps.map(({ atMs, ...own }) => ({ atMs, settings: { ...base, ...own } }))];
    this.#lengthMs = trace.lengthMs;
  }

  /** @param elapsedMs since the trace came into force */
  at(elapsedMs: number): { readonly settings: DirectionSettings; readonly untilMs: number } {
    const cycleMs = Math.floor(elapsedMs / this.#lengthMs) * this.#lengthMs;
    let [low, high] = [0, this.#steps.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.#steps[middle] as TimedSettings).atMs <= elapsedMs - cycleMs) low = middle;
      else high = middle;
    }
    return {
      settings: (this.#steps[low] as TimedSettings).settings,
      untilMs: cycleMs + Math.min(this.#lengthMs, this.#steps[low + 1]?.atMs ?? this.#lengthMs),
    };
  }
}

/**
 * Deliveries as rates: each of `BIN_MS` passes as many full packets as the trace allows in it. Where it allows none for a
 * while, the rate is such that one packet takes that while.
 */
export function deliverySteps(atMs: readonly number[], lengthMs: number): TraceStep[] {
  const bins = Math.ceil(lengthMs / BIN_MS);
  const counts = new Array<number>(bins).fill(0);
  // A delivery at the end of a bin is the last of its packets.
  for (const time of atMs) {
    const bin = Math.min(bins - 1, Math.max(0, Math.ceil(time / BIN_MS) - 1));
    counts[bin] = (counts[bin] as number) + 1;
  }
  const steps: TraceStep[] = [];
  for (let bin = 0; bin < bins; ) {
    let end = bin + 1;
    while (counts[bin] === 0 && end < bins && counts[end] === 0) end++;
    const fromMs = bin * BIN_MS;
    const spanMs = Math.min(lengthMs, end * BIN_MS) - fromMs;
    const rateMbps = (Math.max(1, counts[bin] as number) * PACKET_BYTES * 8) / (spanMs * 1000);
    if (steps.at(-1)?.rateMbps !== rateMbps) steps.push({ atMs: fromMs, rateMbps });
    bin = end;
  }
  return steps;
}
