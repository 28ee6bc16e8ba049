import { messageOf, TierbedError } from '../../base/errors.js';
import type { Progress } from '../../base/progress.js';
import { type DenseTensor, elementCount, float32Tensor, float32Values } from '../../onnx/tensor.js';
import { partOf, preparedItems, type UnreadableItem } from '../../workloads/prepared.js';
import type { Workload } from '../../workloads/types.js';
import type { Batch } from '../train/types.js';
import { openRows, type RowStore } from './row-store.js';
import type { Teacher } from './teacher.js';

/** What a teacher says of the items of a batch. */
export interface Answers {
  /** One tensor for each of the teacher's, items along the first axis. */
  of(batch: Batch): Promise<readonly DenseTensor[]>;
  /** For the manifest. */
  readonly facts: Readonly<Record<string, unknown>>;
  close(): Promise<void>;
}

/** The teacher is asked in every step, about the batch as the student sees it: nothing is kept. */
export function answersByBatch(teacher: Teacher): Answers {
  return {
    of: ({ inputs }) => teacher.ask(inputs),
    facts: { asked: 'every augmented batch' },
    close: async () => {},
  };
}

export interface ByItemOptions {
  /** Answers that take more go to a file. */
  readonly boundBytes: number;
  /** That file. */
  readonly path: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * Asks the teacher once about each item of the training part, as it is, and keeps what it says.
 *
 * @throws TierbedError `invalid` when no item can be read, or answers are of different shapes or not finite; `exhausted`
 *   when the disk is full; `cancelled`
 */
export async function answersByItem(teacher: Teacher, workload: Workload, options: ByItemOptions): Promise<Answers> {
  const { boundBytes, path, progress, signal } = options;
  const count = partOf(workload, 'training').length;
  if (count === 0) {
    throw new TierbedError('invalid', `${workload.name} has no training part, and distill asks its teacher about it`, {
      fix: 'Give the workload a split, e.g. `split: { training: 1000 }` (docs/workloads.md).',
    });
  }
  const rows = new Map<string, number>();
  const unreadable: UnreadableItem[] = [];
  let shapes: readonly (readonly number[])[] = [];
  let store: RowStore | undefined;
  progress.start(`what the teacher says of the training part of ${workload.name}`, count);
  const started = performance.now();
  try {
    for await (const { id, inputs } of preparedItems(workload, 'training', (item) => unreadable.push(item), signal)) {
      const tensors = await ask(teacher, inputs, id);
      if (!store) {
        shapes = tensors.map(({ shape }) => shape.slice(1));
        const length = shapes.reduce((sum, shape) => sum + elementCount(shape), 0);
        store = await openRows(count, length, boundBytes, path);
      }
      await store.set(rows.size, joined(tensors, shapes, id));
      rows.set(id, rows.size);
      progress.update(rows.size + unreadable.length);
    }
    if (!store) {
      throw new TierbedError('invalid', `none of the training items of ${workload.name} can be read`, {
        fix: `The first of them: ${unreadable[0]?.id}: ${unreadable[0]?.reason}`,
      });
    }
  } catch (error) {
    await store?.close();
    throw error;
  } finally {
    progress.stop();
  }
  const kept = store;
  return {
    of: ({ items }) => answersFrom(kept, rows, shapes, items),
    facts: {
      asked: 'each item once, without augmentation',
      ...{ items: rows.size, where: kept.where, bytes: kept.bytes, ms: Math.round(performance.now() - started) },
    },
    close: () => kept.close(),
  };
}

async function ask(teacher: Teacher, inputs: Batch['inputs'], id: string): Promise<readonly DenseTensor[]> {
  try {
    return await teacher.ask(inputs);
  } catch (error) {
    throw new TierbedError('invalid', `the teacher cannot be run on the item ${id}: ${messageOf(error)}`, {
      fix: "Check the workload's preprocess.",
      cause: error,
    });
  }
}

function joined(tensors: readonly DenseTensor[], shapes: readonly (readonly number[])[], id: string): Float32Array {
  const parts = tensors.map((tensor, i) => {
    const shape = tensor.shape.slice(1);
    if (tensor.shape[0] !== 1 || shape.join() !== shapes[i]?.join()) {
      throw new TierbedError(
        'invalid',
        `what the teacher says of the item ${id} is [${tensor.shape.join(', ')}], not [1, ${shapes[i]?.join(', ')}]`,
        { fix: 'Bring all items to one size: pad texts to one length, resize pictures.' },
      );
    }
    return float32Values(tensor);
  });
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  if (all.every(Number.isFinite)) return all;
  throw new TierbedError('invalid', `what the teacher says of the item ${id} is not finite`, {
    fix: 'Look at what the preprocessing makes of that item, and at the teacher.',
  });
}

async function answersFrom(
  store: RowStore,
  rows: ReadonlyMap<string, number>,
  shapes: readonly (readonly number[])[],
  items: Batch['items'],
): Promise<readonly DenseTensor[]> {
  const sizes = shapes.map(elementCount);
  const row = new Float32Array(sizes.reduce((sum, size) => sum + size, 0));
  const made = sizes.map((size) => new Float32Array(size * items.length));
  for (const [i, { id }] of items.entries()) {
    const index = rows.get(id);
    if (index === undefined) throw new TierbedError('internal', `the teacher was not asked about the item ${id}`);
    await store.get(index, row);
    let at = 0;
    for (const [t, size] of sizes.entries()) {
      made[t]?.set(row.subarray(at, at + size), i * size);
      at += size;
    }
  }
  return shapes.map((shape, t) => float32Tensor([items.length, ...shape], made[t] as Float32Array));
}
