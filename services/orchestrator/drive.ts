import { setTimeout as sleep } from 'node:timers/promises';
import type { SampleRow } from '../../analysis/columns.js';
import type { StrategyIdentity } from '../../analysis/summary.js';
import { TierbedError } from '../../base/errors.js';
import type { Progress } from '../../base/progress.js';
import type { PlannedSample } from './plan.js';
import { failedRow, type Judge, type SampleAnswer, type SampleIdentity, sampleRow } from './row.js';
import type { Payload } from './study.js';

/** An item as the plan and the rows name it. */
export interface PlacedItem {
  readonly id: string;
  readonly label: string;
  readonly sha256: string;
}

export interface DriveOptions {
  /** The samples still to run, in the plan's order. */
  readonly plan: Iterable<PlannedSample>;
  readonly total: number;
  readonly strategies: readonly StrategyIdentity[];
  /** Items of each workload. */
  readonly items: readonly (readonly PlacedItem[])[];
  readonly payload: Payload;
  /** Runs one request and gives its parts. */
  readonly run: (strategy: StrategyIdentity, item: PlacedItem, sampleId: string) => Promise<SampleAnswer>;
  /** Says of a workload's predictions whether they are right; absent: those that equal their label are. */
  readonly judgeOf?: (workload: string) => Judge;
  readonly record: (row: SampleRow) => Promise<void>;
  /** Says whether the testbed is still whole. @throws TierbedError `unavailable` naming the tier that is lost */
  readonly checkTestbed: () => Promise<void>;
  /** Makes a testbed that lost a node whole again; absent: its loss ends the run. @throws TierbedError as the run's end */
  readonly recover?: (() => Promise<void>) | undefined;
  /** What was in force at any moment of an interval (Unix ms) that makes samples other than normal; '' for nothing. */
  readonly faultDuring?: (fromUnixMs: number, toUnixMs: number) => string;
  /** The least that a sample takes that fails while a fault is in force, in ms: else a plan would be burnt through. */
  readonly faultyPaceMs?: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * A run stops when this many samples of at least this many items failed one after the other: one bad item or one bad
 * strategy does not stop it, a testbed that fails at everything does.
 */
const MAX_FAILURES_IN_A_ROW = 10;
const MAX_FAILED_ITEMS_IN_A_ROW = 3;

/**
 * Runs the samples one at a time, each when the one before is recorded (MLPerf's SingleStream). A sample that fails is
 * a row that says why. While a fault is in force no failure stops the run.
 *
 * @throws TierbedError `cancelled` when `signal` says so: the sample that was running is not recorded, so that a resumed
 *   run runs it again; `unavailable` when a node is lost for good: the sample that failed by it is recorded; `refused` when
 *   everything fails; whatever `record` throws
 */
export async function drive(options: DriveOptions): Promise<void> {
  const { progress, signal } = options;
  const failures = new FailureStreak();
  progress.start('measuring', options.total);
  try {
    for (const planned of options.plan) {
      stopIfCancelled(signal);
      const strategy = options.strategies[planned.strategy] as StrategyIdentity;
      const item = (options.items[planned.workload] as readonly PlacedItem[])[planned.item] as PlacedItem;
      const { sample, round, block } = planned;
      const identity = { sample, round, block, item: item.id, label: item.label, strategy, payload: options.payload };
      const row = await runOne(options, identity, item);
      if (row.status !== 'ok') stopIfCancelled(signal);
      await options.record(row);
      progress.update(sample, strategy.id);
      const recovered = row.status !== 'ok' && (await lostAndRecovered(options));
      // What fails by a fault that is meant to be says nothing of the testbed.
      if (row.fault !== '') continue;
      if (row.status === 'ok' || recovered) failures.reset();
      else failures.add(planned, String(row.error));
    }
  } finally {
    progress.stop();
  }
}

/** True when a node was lost and all is well again: what failed by it says nothing of the samples to come. */
async function lostAndRecovered({ checkTestbed, recover, progress, total }: DriveOptions): Promise<boolean> {
  try {
    await checkTestbed();
    return false;
  } catch (error) {
    if (!recover) throw error;
    progress.stop();
    await recover();
    progress.start('measuring', total);
    return true;
  }
}

async function runOne(options: DriveOptions, identity: SampleIdentity, item: PlacedItem): Promise<SampleRow> {
  const { faultDuring = () => '', faultyPaceMs = 0, signal } = options;
  const startedAtUnixMs = Date.now();
  const startedMs = performance.now();
  let row: SampleRow;
  try {
    const answer = await options.run(identity.strategy, item, String(identity.sample));
    row = sampleRow(identity, answer, options.judgeOf?.(identity.strategy.workload));
  } catch (error) {
    row = failedRow(identity, error, startedAtUnixMs);
    const restMs = faultyPaceMs - (performance.now() - startedMs);
    if (restMs > 0 && faultDuring(startedAtUnixMs, Date.now()) !== '') {
      await sleep(restMs, undefined, { signal }).catch(() => {});
    }
  }
  return { ...row, fault: faultDuring(startedAtUnixMs, Date.now()) };
}

function stopIfCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw new TierbedError('cancelled', 'the run was stopped');
}

/** Samples that failed one after the other. */
class FailureStreak {
  #samples = 0;
  readonly #items = new Set<string>();

  reset(): void {
    if (this.#samples === 0) return;
    this.#samples = 0;
    this.#items.clear();
  }

  add({ workload, item }: PlannedSample, error: string): void {
    this.#samples++;
    this.#items.add(`${workload} ${item}`);
    if (this.#samples >= MAX_FAILURES_IN_A_ROW && this.#items.size >= MAX_FAILED_ITEMS_IN_A_ROW) {
      throw new TierbedError(
        'refused',
        `the last ${this.#samples} samples failed, on ${this.#items.size} different items; the last one: ${error}`,
        { fix: 'Mend what the message names; --resume goes on after the recorded samples.' },
      );
    }
  }
}
