import { Counter, Gauge, type Registry } from 'prom-client';
import type { TierControl, TierLimits, TierUsage } from '../runtimes/runtime.js';
import { TIER_NAMES, type TierName } from '../tiers.js';

/** Asking a runtime costs calls to it: its answers are good for so long. */
const GOOD_FOR_MS = 5000;

interface Figures {
  readonly limits: TierLimits;
  readonly usage: TierUsage | undefined;
}

/**
 * Figures of the tiers as the runtime sees them from outside, which a node that hangs cannot give. A scrape is answered
 * with what is known and never waits for the runtime.
 */
export class TierMetrics {
  #control: TierControl | undefined;
  #known = new Map<TierName, Figures>();
  #askedMs = Number.NEGATIVE_INFINITY;
  #asking = false;

  constructor(registry: Registry) {
    const gauge = (name: string, help: string, read: (figures: Figures) => number | undefined): void => {
      new Gauge({
        name,
        help,
        labelNames: ['tier'],
        registers: [registry],
        collect: this.#collector(read, (metric: Gauge<'tier'>, tier, value) => metric.set({ tier }, value)),
      });
    };
    const counter = (name: string, help: string, read: (figures: Figures) => number | undefined): void => {
      new Counter({
        name,
        help,
        labelNames: ['tier'],
        registers: [registry],
        collect: this.#collector(read, (metric: Counter<'tier'>, tier, value) => metric.inc({ tier }, value)),
      });
    };
    gauge('tierbed_tier_cpu_limit_cores', 'CPU quota of the tier, as the runtime read it back.', (f) => f.limits.cpus);
    gauge(
      'tierbed_tier_memory_limit_bytes',
      'Memory limit of the tier, as the runtime read it back.',
      (f) => f.limits.memoryMiB * 1024 * 1024,
    );
    counter('tierbed_tier_cpu_seconds_total', 'CPU time of the tier, by the runtime.', (f) => f.usage?.cpuSeconds);
    counter(
      'tierbed_tier_cpu_throttled_seconds_total',
      'Time that the CPU quota held the tier back, by the runtime.',
      (f) => f.usage?.throttledSeconds,
    );
    gauge('tierbed_tier_memory_usage_bytes', 'Memory of the tier, by the runtime.', (f) => f.usage?.memoryBytes);
  }

  /** From now on the figures are of these tiers; undefined: there are none. */
  watch(control: TierControl | undefined): void {
    this.#control = control;
    this.#known = new Map();
    this.#askedMs = Number.NEGATIVE_INFINITY;
    this.#refresh();
  }

  #collector<M extends { reset(): void }>(
    read: (figures: Figures) => number | undefined,
    put: (metric: M, tier: TierName, value: number) => void,
  ): (this: M) => void {
    const figures = (): Iterable<[TierName, Figures]> => {
      this.#refresh();
      return this.#known;
    };
    return function () {
      this.reset();
      for (const [tier, known] of figures()) {
        const value = read(known);
        if (value !== undefined) put(this, tier, value);
      }
    };
  }

  #refresh(): void {
    const control = this.#control;
    if (!control || this.#asking || performance.now() - this.#askedMs < GOOD_FOR_MS) return;
    this.#asking = true;
    this.#askedMs = performance.now();
    void askAll(control).then((known) => {
      this.#asking = false;
      if (this.#control === control) this.#known = known;
    });
  }
}

/** What the runtime says of each tier; nothing of those that it cannot tell. */
async function askAll(control: TierControl): Promise<Map<TierName, Figures>> {
  const known = new Map<TierName, Figures>();
  await Promise.all(
    TIER_NAMES.map(async (tier) => {
      try {
        const [limits, usage] = await Promise.all([control.limits(tier), control.usage?.(tier)]);
        known.set(tier, { limits, usage });
      } catch {
        // A tier that is gone, or a runtime that cannot tell: there is no figure then.
      }
    }),
  );
  return known;
}
