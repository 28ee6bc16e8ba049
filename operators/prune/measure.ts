import { median } from '../../base/median.js';
import { runTimes } from '../../onnx/runtime/run-times.js';
import type { NamedTensor } from '../../onnx/tensor.js';
import { firstInputs } from '../../workloads/prepared.js';
import type { Workload } from '../../workloads/types.js';
import { figuresOf } from '../figures.js';
import type { OperatorContext } from '../operator.js';
import type { StageModel } from '../variant.js';

interface BeforeAfter<T> {
  readonly before: T;
  readonly after: T;
}

/** What pruning was worth, measured here. */
export interface Worth {
  readonly parameters: BeforeAfter<number>;
  readonly bytes: BeforeAfter<number>;
  /** Multiply-accumulates of one item; null when a shape that decides them is not known. */
  readonly macs: BeforeAfter<number | null>;
  readonly speed: {
    /** Medians of runs on one item, both models in turn. */
    readonly beforeMs: number;
    readonly afterMs: number;
    readonly runs: number;
    readonly threads: number;
    /** How many times as fast. */
    readonly speedUp: number;
  } | null;
}

/** Time that measuring may take, and how many runs there are at least and at most. */
const BUDGET_MS = 3000;
const RUNS = { least: 5, most: 100 };

/**
 * Size, cost and speed of a model before and after: the two run in turn, on one item.
 *
 * @throws TierbedError `invalid` when the runtime refuses one of them; `cancelled`
 */
export async function measureWorth(
  before: StageModel,
  after: StageModel,
  { workload, threads, progress, signal }: Pick<OperatorContext, 'workload' | 'threads' | 'progress' | 'signal'>,
): Promise<Worth> {
  progress.start(`timing ${workload.name} before and after pruning`);
  const item = await measuredItem(workload, signal);
  const [first, second] = [await figuresOf([before], item), await figuresOf([after], item)];
  const bytes = ({ files }: StageModel) => files.reduce((total, file) => total + file.bytes, 0);
  const speed = item ? await speedOf(before, after, item, threads, signal) : null;
  progress.stop();
  return {
    parameters: { before: first[0]?.parameters ?? 0, after: second[0]?.parameters ?? 0 },
    bytes: { before: bytes(before), after: bytes(after) },
    macs: { before: first[0]?.macs ?? null, after: second[0]?.macs ?? null },
    speed,
  };
}

/** The item that costs are of; undefined without one. */
export function measuredItem(workload: Workload, signal: AbortSignal): Promise<readonly NamedTensor[] | undefined> {
  return firstInputs(workload, workload.calibration.length > 0 ? 'calibration' : 'evaluation', signal);
}

async function speedOf(
  before: StageModel,
  after: StageModel,
  item: readonly NamedTensor[],
  threads: number,
  signal: AbortSignal,
): Promise<Worth['speed']> {
  const models = [before, after].map(({ files }) => ({ path: files[0]?.path as string, inputs: [item] }));
  const tried = await runTimes(models, { threads, runs: 2, warmUp: 1, signal });
  const roundMs = tried.reduce((sum, times) => sum + median(times), 0);
  const runs = Math.min(RUNS.most, Math.max(RUNS.least, Math.round(BUDGET_MS / Math.max(roundMs, 0.01))));
  const [beforeMs, afterMs] = (await runTimes(models, { threads, runs, warmUp: 3, signal })).map(median) as [
    number,
    number,
  ];
  return { beforeMs, afterMs, runs, threads, speedUp: beforeMs / afterMs };
}
