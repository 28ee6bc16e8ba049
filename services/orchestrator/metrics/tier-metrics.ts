import { Counter, Gauge, type Registry } from 'prom-client';
import type { TierFigures, TierWatch } from '../tiers/tier-watch.js';
import type { TierName } from '../tiers/tiers.js';

/**
 * Figures of the tiers as the runtime sees them from outside, which a node that hangs cannot give. A scrape is answered
 * with what is known and never waits for the runtime.
 */
export class TierMetrics {
  readonly #tiers: TierWatch;

  constructor(registry: Registry, tiers: TierWatch) {
    this.#tiers = tiers;
    const gauge = (name: string, help: string, read: (figures: TierFigures) => number | undefined): void => {
      new Gauge({
        name,
        help,
        labelNames: ['tier'],
        registers: [registry],
        collect: this.#collector(read, (metric: Gauge<'tier'>, tier, value) => metric.set({ tier }, value)),
      });
    };
    const counter = (name: string, help: string, read: (figures: TierFigures) => number | undefined): void => {
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

  #collector<M extends { reset(): void }>(
    read: (figures: TierFigures) => number | undefined,
    put: (metric: M, tier: TierName, value: number) => void,
  ): (this: M) => void {
    const figures = () => this.#tiers.now();
    return function () {
      this.reset();
      for (const [tier, known] of figures()) {
        const value = read(known);
        if (value !== undefined) put(this, tier, value);
      }
    };
  }
}
