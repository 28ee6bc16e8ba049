import { type Progress, silent } from '../base/progress.js';
import { metricOf } from '../workloads/metrics/index.js';
import { postprocess } from '../workloads/postprocess/index.js';
import { partOf, preparedItems, type UnreadableItem } from '../workloads/prepared.js';
import type { Workload, WorkloadPart } from '../workloads/types.js';
import { Chain } from './chain.js';
import type { StageModel } from './variant.js';

/** What a variant is worth on a part of the data. */
export interface Score {
  /** Name of the workload's metric. */
  readonly metric: string;
  /** Null where the data has no labels. */
  readonly value: number | null;
  /** Items that were answered. */
  readonly n: number;
  readonly unreadable: readonly UnreadableItem[];
  /** Of each stage that has an exit: how many answers came from it. Empty for a variant without exits. */
  readonly exits: readonly number[];
}

export interface EvaluateOptions {
  /** 0, the default, is one for each processor. */
  readonly threads?: number;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}

/**
 * Runs a part of the workload's data through a variant's stages in this process, and gives the workload's metric.
 *
 * @throws TierbedError `invalid` when the model cannot be run on an item or its output has no answer; `cancelled`
 */
export async function evaluate(
  workload: Workload,
  stages: readonly StageModel[],
  part: WorkloadPart,
  options: EvaluateOptions = {},
): Promise<Score> {
  const { threads = 0, progress = silent, signal } = options;
  const score = metricOf(workload).accumulate();
  const unreadable: UnreadableItem[] = [];
  const exits = stages.slice(0, -1).map(() => 0);
  const chain = await Chain.open(stages, threads);
  progress.start(`evaluating on the ${part} part of ${workload.name}`, partOf(workload, part).length);
  try {
    for await (const { inputs, label } of preparedItems(workload, part, (item) => unreadable.push(item), signal)) {
      const { outputs, exit } = await chain.run(inputs);
      if (exit !== undefined) exits[exit] = (exits[exit] ?? 0) + 1;
      score.add(postprocess(workload.postprocess, outputs), label);
      progress.update(score.n + unreadable.length);
    }
  } finally {
    progress.stop();
    await chain.close();
  }
  const hasExits = stages.some(({ exit }) => exit !== undefined);
  return { metric: workload.metric, value: score.value(), n: score.n, unreadable, exits: hasExits ? exits : [] };
}
