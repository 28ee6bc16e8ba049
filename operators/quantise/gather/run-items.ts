import { messageOf, TierbedError } from '../../../base/errors.js';
import type { Progress } from '../../../base/progress.js';
import type { Model } from '../../../onnx/model.js';
import { type ModelSession, openModel } from '../../../onnx/runtime/session.js';
import type { NamedTensor } from '../../../onnx/tensor.js';
import { type PreparedItem, preparedItems, type UnreadableItem } from '../../../workloads/prepared.js';
import type { Workload } from '../../../workloads/types.js';

/** What a pass over the calibration items needs beside the model. */
export interface Pass {
  /** Its calibration part is what is run. */
  readonly workload: Workload;
  readonly threads: number;
  readonly progress: Progress;
  readonly signal: AbortSignal | undefined;
}

/** What became of the items of a pass. */
export interface PassedItems {
  /** Labels of those that were run. */
  readonly labels: readonly string[];
  readonly unreadable: readonly UnreadableItem[];
}

/**
 * Runs a model on every calibration item, one after the other, and hands over what it gives.
 *
 * @param round which of several passes it is, for the progress
 * @throws TierbedError `invalid` when the runtime refuses the model or an item, which is named; `cancelled`
 */
export async function runItems(
  model: Model,
  { workload, threads, progress, signal }: Pass,
  round: string,
  take: (item: string, outputs: readonly NamedTensor[]) => void,
): Promise<PassedItems> {
  const labels: string[] = [];
  const unreadable: UnreadableItem[] = [];
  const session = await openModel(model, { threads });
  progress.start(`calibrating on ${workload.name}${round}`, workload.calibration.length);
  try {
    for await (const item of preparedItems(workload, 'calibration', (one) => unreadable.push(one), signal)) {
      take(item.id, await answers(session, item));
      labels.push(item.label);
      progress.update(labels.length + unreadable.length);
    }
  } finally {
    progress.stop();
    await session.close();
  }
  return { labels, unreadable };
}

async function answers(session: ModelSession, { id, inputs }: PreparedItem): Promise<readonly NamedTensor[]> {
  try {
    return await session.run(inputs);
  } catch (error) {
    throw new TierbedError('invalid', `the model cannot be run on calibration item '${id}': ${messageOf(error)}`, {
      fix: "Make the workload's preprocessing give what the model takes.",
      cause: error,
    });
  }
}
