import { createHash } from 'node:crypto';
import { messageOf, TierbedError } from '../base/errors.js';
import type { NamedTensor } from '../onnx/tensor.js';
import { declaredContent } from './declared-content.js';
import { createPreprocessor } from './preprocess/index.js';
import type { Workload, WorkloadItem, WorkloadPart } from './types.js';

/** An item as its model takes it. */
export interface PreparedItem {
  readonly id: string;
  readonly label: string;
  readonly inputs: readonly NamedTensor[];
}

/** An item that could not be read or prepared, and why. */
export interface UnreadableItem {
  readonly id: string;
  readonly reason: string;
}

/** The items of a part, none read yet. */
export function partOf(workload: Workload, part: WorkloadPart): readonly WorkloadItem[] {
  return part === 'evaluation' ? workload.items : workload[part];
}

/**
 * The items of a part, read and prepared one after the other, so that a large part is never in memory at once. What
 * cannot be read or prepared is handed to `unreadable`, never skipped in silence.
 *
 * @throws TierbedError `cancelled` when `signal` says so
 */
export async function* preparedItems(
  workload: Workload,
  part: WorkloadPart,
  unreadable: (item: UnreadableItem) => void,
  signal?: AbortSignal,
): AsyncGenerator<PreparedItem> {
  const preprocess = createPreprocessor(workload.preprocess);
  for (const item of partOf(workload, part)) {
    const { id, label } = item;
    // Runs of the model do not give way by themselves: signals and progress get their turn here.
    await new Promise((resolve) => setImmediate(resolve));
    if (signal?.aborted) throw new TierbedError('cancelled', `reading the items of ${workload.name} was cancelled`);
    let inputs: readonly NamedTensor[];
    try {
      inputs = await preprocess(await item.read());
    } catch (error) {
      unreadable({ id, reason: messageOf(error) });
      continue;
    }
    yield { id, label, inputs };
  }
}

/** The inputs of a part's first item that can be read and prepared; undefined without one. @throws as `preparedItems` */
export async function firstInputs(
  workload: Workload,
  part: WorkloadPart,
  signal?: AbortSignal,
): Promise<readonly NamedTensor[] | undefined> {
  for await (const { inputs } of preparedItems(workload, part, () => {}, signal)) return inputs;
  return undefined;
}

/** What `partHash` found: a part is read once for all steps and variants of a process. */
const partHashes = new WeakMap<Workload, Map<WorkloadPart, Promise<string>>>();

/**
 * The sha256, in hex, of all that a part's inputs follow from: the items' bytes and labels in their order, and the
 * preprocessing. Reads every item, the first time that it is asked for a part of a workload, unless the loader has said
 * what they follow from.
 *
 * @throws TierbedError `cancelled` when `signal` says so
 */
export function partHash(workload: Workload, part: WorkloadPart, signal?: AbortSignal): Promise<string> {
  const known = partHashes.get(workload) ?? new Map<WorkloadPart, Promise<string>>();
  partHashes.set(workload, known);
  const found = known.get(part) ?? hashPart(workload, part, signal);
  known.set(part, found);
  // One that failed is not kept: whoever asks next has another signal.
  found.catch(() => known.delete(part));
  return found;
}

async function hashPart(workload: Workload, part: WorkloadPart, signal?: AbortSignal): Promise<string> {
  const { preprocess, postprocess, metric, metricOptions } = workload;
  const hash = createHash('sha256').update(JSON.stringify([preprocess, postprocess, metric, metricOptions]));
  const items = partOf(workload, part);
  const declared = declaredContent(items);
  if (declared !== undefined) return hash.update(declared).digest('hex');
  for (const item of items) {
    if (signal?.aborted) throw new TierbedError('cancelled', `reading the items of ${workload.name} was cancelled`);
    const bytes = await item.read().catch(() => new Uint8Array());
    hash.update(JSON.stringify([item.id, item.label, bytes.byteLength])).update(bytes);
  }
  return hash.digest('hex');
}
