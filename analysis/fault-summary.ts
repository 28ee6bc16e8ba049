import type { SampleRow } from './columns.js';
import { NumberList } from './number-list.js';
import { quantileOfSorted } from './stats/quantile.js';

/** When something was in force that makes samples other than normal. */
export interface FaultInterval {
  readonly name: string;
  /** Seconds of measuring at which it began. */
  readonly atS: number;
  readonly fromUnixMs: number;
  /** Absent: it never ended. */
  readonly toUnixMs?: number;
}

/** What a fault, or a change of the timeline, did to the samples; an entry of summary.json's `faults`. */
export interface FaultSummary {
  /** As in the samples' column `fault`. */
  readonly name: string;
  readonly atS: number;
  readonly lastedS: number | null;
  /** Samples during which it was in force, in whole or in part: those that succeeded, and those that failed. */
  readonly samples: number;
  readonly ok: number;
  readonly failed: number;
  /** Of those that succeeded, by the column `way`. */
  readonly retried: number;
  readonly fellBack: number;
  /** Of those that succeeded, those with a prediction that is wrong. */
  readonly wrong: number;
  /** Samples that cannot be (docs/results.md, "Validity"). */
  readonly impossible: number;
  /** Median of those that succeeded, in ms. */
  readonly p50Ms: number | null;
}

interface Tally {
  readonly interval: FaultInterval;
  readonly latencies: NumberList;
  samples: number;
  failed: number;
  retried: number;
  fellBack: number;
  wrong: number;
  impossible: number;
}

/** Counts what each fault did, from rows as they come. */
export class FaultTally {
  readonly #tallies: readonly Tally[];

  constructor(intervals: readonly FaultInterval[]) {
    this.#tallies = intervals.map((interval) => ({
      ...{ interval, latencies: new NumberList(), samples: 0, failed: 0, retried: 0, fellBack: 0, wrong: 0 },
      impossible: 0,
    }));
  }

  add(row: SampleRow, impossible: boolean): void {
    if (row.fault === '' || row.fault === null) return;
    for (const name of new Set(String(row.fault).split(' + '))) {
      const tally = this.#nearest(name, row);
      if (!tally) continue;
      tally.samples++;
      if (impossible) tally.impossible++;
      if (row.status !== 'ok') {
        tally.failed++;
        continue;
      }
      tally.latencies.push(row.endToEndMs as number);
      if (row.way === 'retry') tally.retried++;
      if (row.way === 'fallback') tally.fellBack++;
      if (row.correct === false) tally.wrong++;
    }
  }

  /** Of the intervals of a name, the one that the sample is in; the times of both are those of different clocks. */
  #nearest(name: string, row: SampleRow): Tally | undefined {
    const fromMs = row.startedAtUnixMs as number;
    const toMs = fromMs + Number(row.endToEndMs ?? 0);
    const distance = ({ interval: { fromUnixMs, toUnixMs = Number.POSITIVE_INFINITY } }: Tally): number =>
      Math.max(0, fromUnixMs - toMs, fromMs - toUnixMs);
    const candidates = this.#tallies.filter(({ interval }) => interval.name === name);
    return candidates.reduce<Tally | undefined>(
      (best, tally) => (best && distance(best) <= distance(tally) ? best : tally),
      undefined,
    );
  }

  result(): FaultSummary[] {
    return this.#tallies.map(({ interval, latencies, samples, failed, retried, fellBack, wrong, impossible }) => {
      const { name, atS, fromUnixMs, toUnixMs } = interval;
      const sorted = latencies.values.toSorted();
      const lastedS = toUnixMs === undefined ? null : Math.round(toUnixMs - fromUnixMs) / 1000;
      const p50Ms = sorted.length > 0 ? Math.round(quantileOfSorted(sorted, 0.5) * 1e6) / 1e6 : null;
      const counts = { samples, ok: samples - failed, failed, retried, fellBack, wrong, impossible };
      return { name, atS, lastedS, ...counts, p50Ms };
    });
  }
}
