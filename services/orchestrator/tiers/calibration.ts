import { Worker } from 'node:worker_threads';
import { mean, standardDeviation } from '../../../analysis/stats/moments.js';
import { quantileOfSorted } from '../../../analysis/stats/quantile.js';
import { TierbedError } from '../../../base/errors.js';
import type { Progress } from '../../../base/progress.js';
import type { CalibrationOrder } from '../../node/calibration-job.js';
import type { Testbed } from '../runtimes/runtime.js';
import { TIER_NAMES, type TierName } from './tiers.js';

/** How fast a tier's processor is for one thread, and how evenly. */
export interface Calibration {
  readonly tier: TierName;
  /** Runs of the job that were timed. */
  readonly jobs: number;
  readonly medianMs: number;
  readonly p90Ms: number;
  /** Standard deviation of the job's time. */
  readonly jitterMs: number;
  readonly jobsPerSecond: number;
  /** `jobsPerSecond` over what the orchestrator's own, unlimited thread was capable of just before. */
  readonly speed: number;
  /** What the tier's quota promises to one thread: its CPUs, one at most. */
  readonly promised: number;
}

/** A tier whose speed is farther than this from what is promised is worth a note. */
const TOLERANCE = 0.1;
const TIER_ORDER: CalibrationOrder = { jobs: 200, withinMs: 2_000 };
/** Where nothing is limited there is less to see. */
const UNLIMITED_ORDER: CalibrationOrder = { jobs: 40, withinMs: 500 };
const OWN_ORDER: CalibrationOrder = { jobs: 40, withinMs: 500 };
const WORKER = new URL('./calibration-worker.js', import.meta.url);

/**
 * Times a fixed job on each tier in turn, and on this process just before, while nothing else runs.
 *
 * @throws TierbedError what a node answers, `cancelled`
 */
export async function calibrate(
  testbed: Pick<Testbed, 'nodes' | 'tiers'>,
  progress: Progress,
  signal: AbortSignal,
): Promise<Calibration[]> {
  const found: Calibration[] = [];
  progress.start('measuring how fast the tiers are', TIER_NAMES.length);
  try {
    for (const [i, tier] of TIER_NAMES.entries()) {
      const own = await timeHere(OWN_ORDER, signal);
      const cpus = await cpusOf(testbed, tier);
      const order = cpus === undefined ? UNLIMITED_ORDER : TIER_ORDER;
      const { tookMs } = await testbed.nodes[tier].client.calibrate(order, { signal });
      found.push(calibrationOf(tier, tookMs, own, Math.min(1, cpus ?? 1)));
      progress.update(i + 1, tier);
    }
    return found;
  } finally {
    progress.stop();
  }
}

/**
 * What the job takes when nobody is in its way: an unlimited thread has no other reason to be slow, so that its fast runs
 * say what the processor can do.
 */
function undisturbedMs(ownMs: readonly number[]): number {
  const sorted = ownMs.toSorted((a, b) => a - b);
  return quantileOfSorted(sorted, 0.1);
}

/** A tier's CPU limit, or undefined where the runtime limits nothing. */
async function cpusOf({ tiers }: Pick<Testbed, 'tiers'>, tier: TierName): Promise<number | undefined> {
  try {
    return (await tiers.limits(tier)).cpus;
  } catch (error) {
    if (error instanceof TierbedError && error.kind === 'refused') return undefined;
    throw error;
  }
}

/** The figures of one tier. @param ownMs times of the same job on an unlimited thread */
export function calibrationOf(
  tier: TierName,
  tookMs: readonly number[],
  ownMs: readonly number[],
  promised: number,
): Calibration {
  const sorted = tookMs.toSorted((a, b) => a - b);
  const round = (value: number): number => Number(value.toPrecision(6));
  return {
    tier,
    jobs: tookMs.length,
    medianMs: round(quantileOfSorted(sorted, 0.5)),
    p90Ms: round(quantileOfSorted(sorted, 0.9)),
    jitterMs: round(standardDeviation(tookMs)),
    jobsPerSecond: round(1000 / mean(tookMs)),
    speed: round(undisturbedMs(ownMs) / mean(tookMs)),
    promised,
  };
}

/** One note for each tier that is not as fast as its quota says. */
export function calibrationNotes(calibrations: readonly Calibration[]): string[] {
  return calibrations
    .filter(({ speed, promised }) => Math.abs(speed / promised - 1) > TOLERANCE)
    .map(({ tier, speed, promised }) => {
      const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;
      return `the ${tier} tier ran a fixed job at ${percent(speed)} of a core's speed where ${percent(promised)} was to be expected: something else uses the machine, or the cores are not alike`;
    });
}

/** The job on a thread of this process: the orchestrator has no limit. */
function timeHere(order: CalibrationOrder, signal: AbortSignal): Promise<readonly number[]> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(WORKER, { workerData: order });
    const stop = (): void => {
      void worker.terminate();
      reject(new TierbedError('cancelled', 'the run was stopped'));
    };
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => signal.removeEventListener('abort', stop));
  });
}
