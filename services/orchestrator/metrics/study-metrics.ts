import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { SampleRow } from '../../../analysis/columns.js';
import { BoundedLabel } from './bounded-label.js';
import { rowParts } from './row-parts.js';

/** Strategies that have series of their own. */
export const MAX_STRATEGIES = 200;
const MAX_STATUSES = 8;

/** 1 ms to 65 s, in factors of two. */
const SAMPLE_BUCKETS = Array.from({ length: 17 }, (_, i) => 0.001 * 2 ** i);
/** 100 us to 26 s, in factors of four: there are many parts, and every bucket is a series of each. */
const PART_BUCKETS = Array.from({ length: 10 }, (_, i) => 0.0001 * 4 ** i);

export interface StudyInfo {
  /** The study's name. */
  readonly study: string;
  /** `local` or `docker`. */
  readonly runtime: string;
}

/** Figures of the study that runs, or of the last one that did. */
export class StudyMetrics {
  readonly #strategies = new BoundedLabel(MAX_STRATEGIES);
  readonly #statuses = new BoundedLabel(MAX_STATUSES);
  readonly #seconds: Histogram<'strategy'>;
  readonly #parts: Histogram<'strategy' | 'part' | 'tier'>;
  readonly #samples: Counter<'strategy' | 'status'>;
  readonly #bytes: Counter<'strategy' | 'way'>;
  readonly #planned: Gauge;
  readonly #recorded: Gauge;
  readonly #running: Gauge;
  readonly #progress: Gauge;
  readonly #info: Gauge<'study' | 'runtime'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#seconds = new Histogram({
      name: 'tierbed_sample_seconds',
      help: 'End-to-end time of the samples that succeeded, by strategy.',
      labelNames: ['strategy'],
      buckets: SAMPLE_BUCKETS,
      registers,
    });
    this.#parts = new Histogram({
      name: 'tierbed_sample_part_seconds',
      help: 'Parts of the time of the samples that succeeded, by strategy and tier; parts of no time are not counted.',
      labelNames: ['strategy', 'part', 'tier'],
      buckets: PART_BUCKETS,
      registers,
    });
    this.#samples = new Counter({
      name: 'tierbed_samples_total',
      help: 'Samples recorded, by strategy and outcome.',
      labelNames: ['strategy', 'status'],
      registers,
    });
    this.#bytes = new Counter({
      name: 'tierbed_sample_hop_bytes_total',
      help: 'Message bytes that samples sent over links, by strategy and way: up or down.',
      labelNames: ['strategy', 'way'],
      registers,
    });
    this.#planned = new Gauge({
      name: 'tierbed_study_samples_planned',
      help: 'Samples that the study has.',
      registers,
    });
    this.#recorded = new Gauge({
      name: 'tierbed_study_samples_recorded',
      help: 'Samples of the study that are on disk, those of an earlier part of a resumed run included.',
      registers,
    });
    this.#running = new Gauge({ name: 'tierbed_study_running', help: '1 while a study has the testbed.', registers });
    this.#progress = new Gauge({
      name: 'tierbed_study_last_progress_timestamp_seconds',
      help: 'Unix time at which the study began or last recorded a sample.',
      registers,
    });
    this.#info = new Gauge({
      name: 'tierbed_study_info',
      help: 'Always 1; the study that runs, or the last one, is in the labels.',
      labelNames: ['study', 'runtime'],
      registers,
    });
  }

  /** A study has the testbed now: what was counted for the one before goes. */
  began(info: StudyInfo): void {
    this.#strategies.clear();
    for (const metric of [this.#seconds, this.#parts, this.#samples, this.#bytes, this.#info]) metric.reset();
    this.#planned.set(0);
    this.#recorded.set(0);
    this.#info.set({ study: info.study, runtime: info.runtime }, 1);
    this.#running.set(1);
    this.#progressed();
  }

  ended(): void {
    this.#running.set(0);
  }

  /** A row is on disk. */
  recorded(row: SampleRow, done: number, planned: number): void {
    this.#planned.set(planned);
    this.#recorded.set(done);
    this.#progressed();
    const strategy = this.#strategies.of(String(row.strategy));
    const status = this.#statuses.of(String(row.status));
    // Both are there from a strategy's first sample on, so that its first failure is an increase.
    for (const known of ['ok', 'failed']) this.#samples.inc({ strategy, status: known }, 0);
    this.#samples.inc({ strategy, status });
    for (const way of ['Up', 'Down']) {
      const bytes = Number(row[`hop1${way}Bytes`] ?? 0) + Number(row[`hop2${way}Bytes`] ?? 0);
      this.#bytes.inc({ strategy, way: way.toLowerCase() }, bytes);
    }
    if (row.status !== 'ok' || typeof row.endToEndMs !== 'number') return;
    this.#seconds.observe({ strategy }, row.endToEndMs / 1000);
    for (const { part, tier, seconds } of rowParts(row)) this.#parts.observe({ strategy, part, tier }, seconds);
  }

  #progressed(): void {
    this.#progress.set(Date.now() / 1000);
  }
}
