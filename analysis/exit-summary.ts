import type { SampleRow } from './columns.js';
import { NumberList } from './number-list.js';
import { quantileOfSorted } from './stats/quantile.js';
import type { AccuracyOf } from './summary.js';

/** The samples of a strategy with early exits that were answered at one place. */
export interface ExitSummary {
  /** Index of the stage whose exit answered; null for those that went through all stages. */
  readonly stage: number | null;
  readonly n: number;
  /** Of the strategy's samples, 0 to 1. */
  readonly share: number;
  /** Null when there is none. */
  readonly p50Ms: number | null;
  /** The workload's metric of these alone. */
  readonly accuracy: number | null;
}

interface Tallied {
  readonly latencies: NumberList;
  readonly accuracy: ReturnType<AccuracyOf['accumulate']>;
}

/** Counts a strategy's samples by where they were answered. */
export class ExitTally {
  readonly #byStage: ReadonlyMap<number | null, Tallied>;

  /** @param stages those that have an exit */
  constructor(stages: readonly number[], metric: AccuracyOf) {
    this.#byStage = new Map(
      [...stages, null].map((stage) => [stage, { latencies: new NumberList(), accuracy: metric.accumulate() }]),
    );
  }

  add(row: SampleRow): void {
    const tallied = this.#byStage.get(typeof row.exit === 'number' ? row.exit : null);
    tallied?.latencies.push(row.endToEndMs as number);
    tallied?.accuracy.add(String(row.prediction), String(row.label));
  }

  result(): ExitSummary[] {
    const all = [...this.#byStage];
    const total = all.reduce((sum, [, { latencies }]) => sum + latencies.values.length, 0);
    return all.map(([stage, { latencies, accuracy }]) => {
      const n = latencies.values.length;
      const p50Ms = n === 0 ? null : quantileOfSorted(latencies.values.toSorted(), 0.5);
      return { stage, n, share: total === 0 ? 0 : n / total, p50Ms, accuracy: accuracy.value() };
    });
  }
}
