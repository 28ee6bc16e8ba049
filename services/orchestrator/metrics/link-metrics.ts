import { Gauge, type Registry } from 'prom-client';
import type { Direction, DirectionSettings, LinkSettings } from '../../link/types.js';
import type { LinkReport } from '../../link/verify/verify.js';

type LinkLabels = 'link' | 'direction';

const DIRECTIONS: readonly Direction[] = ['up', 'down'];
const BYTES_PER_MBIT = 1e6 / 8;

/** What links were set to, and what the proof measured of it. */
export class LinkMetrics {
  readonly #setRate: Gauge<LinkLabels>;
  readonly #setDelay: Gauge<LinkLabels>;
  readonly #setJitter: Gauge<LinkLabels>;
  readonly #setLoss: Gauge<LinkLabels>;
  readonly #measuredRate: Gauge<LinkLabels>;
  readonly #measuredDelay: Gauge<LinkLabels>;
  readonly #measuredJitter: Gauge<LinkLabels>;
  readonly #measuredLoss: Gauge<LinkLabels>;
  readonly #blocked: Gauge<'link'>;
  readonly #outOfTolerance: Gauge<'link'>;
  readonly #proved: Gauge;

  constructor(registry: Registry) {
    const gauge = (name: string, help: string): Gauge<LinkLabels> =>
      new Gauge({ name, help, labelNames: ['link', 'direction'], registers: [registry] });
    this.#setRate = gauge('tierbed_link_set_rate_bytes_per_second', 'Rate that the link is set to; 0: not limited.');
    this.#setDelay = gauge('tierbed_link_set_delay_seconds', 'One-way delay that the link is set to.');
    this.#setJitter = gauge('tierbed_link_set_jitter_seconds', 'Standard deviation of the delay that is set.');
    this.#setLoss = gauge('tierbed_link_set_loss_ratio', 'Share of packets that the link is set to lose.');
    this.#measuredRate = gauge('tierbed_link_measured_rate_bytes_per_second', 'Rate that the last proof measured.');
    this.#measuredDelay = gauge('tierbed_link_measured_delay_seconds', 'One-way delay that the last proof measured.');
    this.#measuredJitter = gauge('tierbed_link_measured_jitter_seconds', 'Jitter that the last proof measured.');
    this.#measuredLoss = gauge('tierbed_link_measured_loss_ratio', 'Loss that the last proof measured.');
    this.#blocked = new Gauge({
      name: 'tierbed_link_set_down',
      help: '1 while the link is set to let nothing through.',
      labelNames: ['link'],
      registers: [registry],
    });
    this.#outOfTolerance = new Gauge({
      name: 'tierbed_link_figures_out_of_tolerance',
      help: 'Figures of the last proof that were out of tolerance, by link or chain of links.',
      labelNames: ['link'],
      registers: [registry],
    });
    this.#proved = new Gauge({
      name: 'tierbed_link_proof_timestamp_seconds',
      help: 'Unix time of the last proof of the links.',
      registers: [registry],
    });
  }

  /** What is in force from now on, by whoever set it; links that are not named stay as they were. */
  set(links: readonly LinkSettings[]): void {
    for (const link of links) {
      this.#blocked.set({ link: link.name }, link.blocked ? 1 : 0);
      for (const direction of DIRECTIONS) this.#setDirection({ link: link.name, direction }, link[direction]);
    }
  }

  /** What a proof measured. */
  proved({ figures }: LinkReport): void {
    this.#proved.set(Date.now() / 1000);
    for (const gauge of [this.#measuredRate, this.#measuredDelay, this.#measuredJitter, this.#measuredLoss]) {
      gauge.reset();
    }
    this.#outOfTolerance.reset();
    for (const { link, direction, figure, measured, ok } of figures) {
      this.#outOfTolerance.inc({ link }, ok ? 0 : 1);
      if (direction === 'both') continue;
      const labels = { link, direction };
      // By name, since what else a proof measures is not this file's to know.
      switch (figure as string) {
        case 'rateMbps':
          this.#measuredRate.set(labels, measured * BYTES_PER_MBIT);
          break;
        case 'delayMs':
          this.#measuredDelay.set(labels, measured / 1000);
          break;
        case 'jitterMs':
          this.#measuredJitter.set(labels, measured / 1000);
          break;
        case 'lossPct':
          this.#measuredLoss.set(labels, measured / 100);
          break;
      }
    }
  }

  #setDirection(labels: { link: string; direction: Direction }, settings: DirectionSettings): void {
    this.#setRate.set(labels, (settings.rateMbps ?? 0) * BYTES_PER_MBIT);
    this.#setDelay.set(labels, settings.delayMs / 1000);
    this.#setJitter.set(labels, settings.jitterMs / 1000);
    this.#setLoss.set(labels, (settings.lossPct ?? 0) / 100);
  }
}
