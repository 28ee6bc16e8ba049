import { messageOf, TierbedError } from '../../base/errors.js';
import type { Progress } from '../../base/progress.js';
import { byteLength } from '../../onnx/tensor.js';
import { type PreparedItem, partOf, type UnreadableItem } from '../../workloads/prepared.js';
import { createPreprocessor } from '../../workloads/preprocess/index.js';
import type { Preprocessor, Workload, WorkloadItem, WorkloadPart } from '../../workloads/types.js';

/** Bytes that prepared items may take, of several parts together: what is beyond is prepared anew each time. */
export class CacheBudget {
  readonly bytes: number;
  #left: number;

  constructor(bytes: number) {
    this.bytes = bytes;
    this.#left = bytes;
  }

  /** Whether that many bytes are left; they are taken then. */
  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }
}

/** Items prepared at a time: pictures are decoded by threads of their own. */
const AT_ONCE = 16;

/** The items of a part as a model takes them, by their place; what cannot be read is left out. */
export class ItemStore {
  readonly items: readonly WorkloadItem[];
  readonly unreadable: readonly UnreadableItem[];
  /** Bytes of an item's inputs; 0 without items. */
  readonly itemBytes: number;
  readonly #prepare: Preprocessor;
  readonly #kept: readonly (PreparedItem | undefined)[];

  private constructor(
    prepare: Preprocessor,
    items: readonly WorkloadItem[],
    kept: readonly (PreparedItem | undefined)[],
    unreadable: readonly UnreadableItem[],
    itemBytes: number,
  ) {
    this.items = items;
    this.unreadable = unreadable;
    this.itemBytes = itemBytes;
    this.#prepare = prepare;
    this.#kept = kept;
  }

  /**
   * Reads and prepares every item once, so that those which cannot be are known before training, and keeps as many as
   * the budget allows.
   *
   * @throws TierbedError `cancelled`
   */
  static async open(
    workload: Workload,
    part: WorkloadPart,
    budget: CacheBudget,
    { progress, signal }: { readonly progress: Progress; readonly signal: AbortSignal },
  ): Promise<ItemStore> {
    const prepare = createPreprocessor(workload.preprocess);
    const all = partOf(workload, part);
    const items: WorkloadItem[] = [];
    const kept: (PreparedItem | undefined)[] = [];
    const unreadable: UnreadableItem[] = [];
    let itemBytes = 0;
    progress.start(`reading the ${part} part of ${workload.name}`, all.length);
    for (let start = 0; start < all.length; start += AT_ONCE) {
      await new Promise((resolve) => setImmediate(resolve));
      if (signal.aborted) throw new TierbedError('cancelled', `reading the items of ${workload.name} was cancelled`);
      const some = all.slice(start, start + AT_ONCE);
      const tried = await Promise.all(some.map((item) => tryPrepare(prepare, item)));
      for (const [i, found] of tried.entries()) {
        if ('reason' in found) {
          unreadable.push(found);
          continue;
        }
        itemBytes = found.inputs.reduce((sum, { tensor }) => sum + byteLength(tensor), 0);
        items.push(some[i] as WorkloadItem);
        kept.push(budget.take(itemBytes) ? found : undefined);
      }
      progress.update(start + some.length);
    }
    progress.stop();
    return new ItemStore(prepare, items, kept, unreadable, itemBytes);
  }

  get length(): number {
    return this.items.length;
  }

  /** How many are kept in memory. */
  get kept(): number {
    return this.#kept.filter((item) => item !== undefined).length;
  }

  /** Items by their places. @throws TierbedError `invalid` when one cannot be read any more */
  async take(places: readonly number[]): Promise<readonly PreparedItem[]> {
    return Promise.all(places.map((place) => this.#kept[place] ?? this.#again(this.items[place] as WorkloadItem)));
  }

  async #again(item: WorkloadItem): Promise<PreparedItem> {
    const found = await tryPrepare(this.#prepare, item);
    if (!('reason' in found)) return found;
    throw new TierbedError('invalid', `the item ${item.id} cannot be read any more: ${found.reason}`);
  }
}

async function tryPrepare(prepare: Preprocessor, item: WorkloadItem): Promise<PreparedItem | UnreadableItem> {
  const { id, label } = item;
  try {
    return { id, label, inputs: await prepare(await item.read()) };
  } catch (error) {
    return { id, reason: messageOf(error) };
  }
}
