import { BYTE_COUNTS, type ByteCount, PARTS, type Part, type SampleRow } from './columns.js';
import { type ExitSummary, ExitTally } from './exit-summary.js';
import { type FaultInterval, type FaultSummary, FaultTally } from './fault-summary.js';
import { NumberList } from './number-list.js';
import { medianInterval95 } from './stats/median-interval.js';
import { mean, standardDeviation } from './stats/moments.js';
import { quantileOfSorted } from './stats/quantile.js';
import { type Validity, ValidityCheck, type ValidityOptions } from './validity.js';

/** What a strategy is: a variant of a workload, the tiers its stages sit on, and how sessions are made. */
export interface StrategyIdentity {
  readonly id: string;
  readonly workload: string;
  readonly recipe: string;
  readonly placement: string;
  readonly session: string;
  /** The stages that have an exit; absent where none has. */
  readonly exits?: readonly number[];
}

/** Latency in ms; every figure is null when no sample succeeded. */
export interface LatencyMs {
  readonly p50: number | null;
  readonly p90: number | null;
  readonly p99: number | null;
  readonly mean: number | null;
  readonly sd: number | null;
  /** 95 % interval of the median over items; null for fewer than six items. */
  readonly ci95: readonly [number, number] | null;
}

/** A strategy's metric. */
export interface Accuracy {
  readonly metric: string;
  readonly value: number | null;
  /** `fraction`: 0 to 1, shown as a percentage. */
  readonly unit: 'fraction' | 'number';
  readonly better: 'higher' | 'lower';
}

/** An item that no sample is of. */
export interface UnreadableItem {
  readonly workload: string;
  readonly item: string;
  readonly reason: string;
}

/** One entry of summary.json's `strategies`. */
export interface StrategySummary extends StrategyIdentity {
  /** Samples that succeeded, without a fault in force: those behind every figure. */
  readonly n: number;
  /** Those that failed, without a fault in force. */
  readonly failed: number;
  readonly latencyMs: LatencyMs;
  /** Means, so that they add up to `latencyMs.mean`; null when no sample succeeded. */
  readonly partsMs: Readonly<Record<Part, number>> | null;
  readonly accuracy: Accuracy;
  /** Mean message bytes a sample; null when no sample succeeded. */
  readonly bytes: Readonly<Record<ByteCount, number>> | null;
  /** By stage, and last those that went through all; absent where no stage has an exit. */
  readonly byExit?: readonly ExitSummary[];
}

/** summary.json. */
export interface Summary {
  readonly study: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly samples: {
    readonly planned: number;
    readonly recorded: number;
    readonly failed: number;
    /** Of those recorded, those during which a fault or a change of the timeline was in force: in no figure of a strategy. */
    readonly underFault: number;
  };
  /** Items that were to be measured and could not be read: they are in no sample and in no figure. */
  readonly unreadable: readonly UnreadableItem[];
  readonly validity: Validity;
  readonly strategies: readonly StrategySummary[];
  /** What each fault and each change of the timeline did to the samples, in the order in which they came. */
  readonly faults: readonly FaultSummary[];
  /** What a reader must know before trusting the figures. */
  readonly notes: readonly string[];
}

/** A metric of one strategy's predictions, taken in as they come. */
export interface AccuracyOf {
  readonly name: string;
  readonly unit: Accuracy['unit'];
  readonly better: Accuracy['better'];
  accumulate(): { add(prediction: string, label: string): void; value(): number | null };
}

/** `other` may take this share of the median latency, or this many ms, whichever is larger. */
const OTHER_SHARE = 0.02;
const OTHER_MS = 0.3;

/**
 * Summarises samples strategy by strategy, in the strategies' order. Takes rows as a stream; keeps 24 bytes a sample.
 *
 * Samples during which a fault was in force count for that fault, and for no strategy.
 *
 * @param metricOf the metric of a workload
 * @param faults what was in force, and when
 * @returns the summaries, and a note when the `other` part of some is too large to trust the parts
 */
export async function summarise(
  rows: AsyncIterable<SampleRow>,
  strategies: readonly StrategyIdentity[],
  metricOf: (workload: string) => AccuracyOf,
  validityOptions: ValidityOptions,
  faults: readonly FaultInterval[] = [],
): Promise<SummaryOfRows> {
  const validity = new ValidityCheck(validityOptions);
  const faultTally = new FaultTally(faults);
  let recorded = 0;
  let failed = 0;
  let underFault = 0;
  const items = new Map<string, number>();
  const tallies = new Map(
    strategies.map((strategy) => [strategy.id, new Tally(strategy, metricOf(strategy.workload))]),
  );
  for await (const row of rows) {
    recorded++;
    if (row.status !== 'ok') failed++;
    const impossible = validity.add(row).length > 0;
    if (row.fault !== '') {
      underFault++;
      faultTally.add(row, impossible);
      continue;
    }
    const item = String(row.item);
    const index = items.get(item) ?? items.size;
    items.set(item, index);
    tallies.get(String(row.strategy))?.add(row, index);
  }
  const done = [...tallies.values()].map((tally) => tally.summary());
  return {
    strategies: done.map(({ summary }) => summary),
    faults: faultTally.result(),
    validity: validity.result(),
    samples: { planned: validityOptions.planned, recorded, failed, underFault },
    notes: unnamedNotes(done),
  };
}

/** What rows alone say of a study. */
export type SummaryOfRows = Pick<Summary, 'strategies' | 'faults' | 'validity' | 'samples'> & { notes: string[] };

/** One note on all strategies whose `other` is above its bound, with the worst of them. */
function unnamedNotes(done: readonly Tallied[]): string[] {
  const beyond = done.filter(({ unnamed }) => unnamed && unnamed.medianMs > unnamed.boundMs);
  const [worst] = beyond.toSorted((a, b) => excess(b) - excess(a));
  if (!worst?.unnamed) return [];
  const { medianMs, boundMs } = worst.unnamed;
  const strategies = `${beyond.length} of ${done.length} strategies`;
  const figures = `${medianMs.toFixed(2)} ms in the median, bound ${boundMs.toFixed(2)} ms`;
  return [`in ${strategies} more time than it should belongs to no part, most in ${worst.summary.id} (${figures})`];
}

function excess({ unnamed }: Tallied): number {
  return unnamed ? unnamed.medianMs / unnamed.boundMs : 0;
}

interface Tallied {
  readonly summary: StrategySummary;
  /** The median of `other`, and what it may be; undefined when no sample succeeded. */
  readonly unnamed?: { readonly medianMs: number; readonly boundMs: number };
}

/** What is kept of one strategy's samples. */
class Tally {
  readonly #strategy: StrategyIdentity;
  readonly #metric: AccuracyOf;
  readonly #accuracy: ReturnType<AccuracyOf['accumulate']>;
  readonly #latencies = new NumberList();
  readonly #others = new NumberList();
  readonly #items = new NumberList();
  readonly #partSums = new Map<Part, number>(PARTS.map((part) => [part, 0]));
  readonly #byteSums = new Map<ByteCount, number>(BYTE_COUNTS.map((count) => [count, 0]));
  readonly #exits: ExitTally | undefined;
  #failed = 0;

  constructor(strategy: StrategyIdentity, metric: AccuracyOf) {
    this.#strategy = strategy;
    this.#exits = strategy.exits && new ExitTally(strategy.exits, metric);
    this.#metric = metric;
    this.#accuracy = metric.accumulate();
  }

  add(row: SampleRow, item: number): void {
    if (row.status !== 'ok') {
      this.#failed++;
      return;
    }
    this.#latencies.push(row.endToEndMs as number);
    this.#others.push(row.otherMs as number);
    this.#items.push(item);
    for (const part of PARTS) this.#partSums.set(part, this.#sum(part) + (row[`${part}Ms`] as number));
    for (const count of BYTE_COUNTS) {
      this.#byteSums.set(count, (this.#byteSums.get(count) as number) + (row[`${count}Bytes`] as number));
    }
    this.#accuracy.add(String(row.prediction), String(row.label));
    this.#exits?.add(row);
  }

  summary(): Tallied {
    const n = this.#latencies.values.length;
    const { id, workload, recipe, placement, session, exits } = this.#strategy;
    const { name: metric, unit, better } = this.#metric;
    const common = {
      ...{ id, workload, recipe, placement, session, n, failed: this.#failed },
      ...(exits && { exits }),
      ...(this.#exits && { byExit: this.#exits.result() }),
      accuracy: { metric, value: this.#accuracy.value(), unit, better },
    };
    if (n === 0) {
      const latencyMs = { p50: null, p90: null, p99: null, mean: null, sd: null, ci95: null };
      return { summary: { ...common, latencyMs, partsMs: null, bytes: null } };
    }
    const sorted = this.#latencies.values.toSorted();
    const ci95 = medianInterval95(perItemMedians(this.#latencies.values, this.#items.values));
    const meanMs = rounded(mean(sorted));
    const latencyMs = {
      p50: rounded(quantileOfSorted(sorted, 0.5)),
      p90: rounded(quantileOfSorted(sorted, 0.9)),
      p99: rounded(quantileOfSorted(sorted, 0.99)),
      mean: meanMs,
      sd: rounded(standardDeviation(sorted)),
      ci95: ci95 ? ([rounded(ci95[0]), rounded(ci95[1])] as const) : null,
    };
    const bytes = Object.fromEntries(BYTE_COUNTS.map((c) => [c, Math.round((this.#byteSums.get(c) as number) / n)]));
    const summary = {
      ...common,
      latencyMs,
      partsMs: this.#partsMs(meanMs, n),
      bytes: bytes as Record<ByteCount, number>,
    };
    const medianMs = quantileOfSorted(this.#others.values.toSorted(), 0.5);
    return { summary, unnamed: { medianMs, boundMs: Math.max(OTHER_SHARE * latencyMs.p50, OTHER_MS) } };
  }

  /** Mean parts in whole ns; `other` takes the rounding, so that they add up to the mean. */
  #partsMs(meanMs: number, n: number): Record<Part, number> {
    let restNs = Math.round(meanMs * 1e6);
    const parts = {} as Record<Part, number>;
    for (const part of PARTS) {
      const ns = part === 'other' ? restNs : Math.round((this.#sum(part) / n) * 1e6);
      restNs -= ns;
      parts[part] = ns / 1e6;
    }
    return parts;
  }

  #sum(part: Part): number {
    return this.#partSums.get(part) as number;
  }
}

/** The median latency of each item, in ascending order: repeats of one input are not independent, items are. */
function perItemMedians(latencies: Float64Array, items: Float64Array): Float64Array {
  const order = Uint32Array.from(latencies.keys()).sort(
    (a, b) => (items[a] as number) - (items[b] as number) || (latencies[a] as number) - (latencies[b] as number),
  );
  const medians = new NumberList();
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && items[order[end] as number] === items[order[start] as number]) end++;
    const ofItem = Float64Array.from(order.subarray(start, end), (i) => latencies[i] as number);
    medians.push(quantileOfSorted(ofItem, 0.5));
    start = end;
  }
  return medians.values.toSorted();
}

/** To whole ns: the resolution of the clocks. */
function rounded(ms: number): number {
  return Math.round(ms * 1e6) / 1e6;
}
