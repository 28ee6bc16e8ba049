import { createHash } from 'node:crypto';
import { TierbedError } from '../../base/errors.js';
import { KeyedError } from '../../base/keyed-error.js';
import type { Progress } from '../../base/progress.js';
import type { WorkloadItem, WorkloadPart } from '../types.js';
import type { Parts } from './split.js';

/**
 * Refuses parts with data of their own that share an item: what is fitted or chosen on an item says nothing when it is
 * measured on the same. Items are compared by their bytes; those that cannot be read are left for others to name.
 *
 * @throws KeyedError `invalid` at the part that has what another has; TierbedError `cancelled`
 */
export async function refuseOverlap(parts: Parts, progress: Progress, signal?: AbortSignal): Promise<void> {
  const seen = new Map<string, { readonly part: WorkloadPart; readonly id: string }>();
  // What is measured on comes first: the error names the part that has an item of it.
  const names = ['evaluation', 'calibration', 'tuning', 'training'] as const satisfies readonly WorkloadPart[];
  progress.start(
    'comparing the parts of the data',
    names.reduce((sum, name) => sum + parts[name].length, 0),
  );
  let done = 0;
  try {
    for (const part of names) {
      const shared: { readonly id: string; readonly other: { readonly part: WorkloadPart; readonly id: string } }[] =
        [];
      for (const item of parts[part]) {
        if (signal?.aborted) throw new TierbedError('cancelled', 'comparing the parts of the data was cancelled');
        const hash = await hashOf(item);
        const other = hash === undefined ? undefined : seen.get(hash);
        if (other && other.part !== part) shared.push({ id: item.id, other });
        else if (hash !== undefined && !other) seen.set(hash, { part, id: item.id });
        progress.update(++done);
      }
      const [first] = shared;
      if (!first) continue;
      const { other, id } = first;
      throw new KeyedError(
        ['parts', part],
        `${shared.length} of its ${parts[part].length} items are in another part, too; the first, '${id}', is '${other.id}' of ${other.part}`,
        { fix: 'Leave them out of one of the two, or divide one data set with `split`.' },
      );
    }
  } finally {
    progress.stop();
  }
}

async function hashOf(item: WorkloadItem): Promise<string | undefined> {
  const bytes = await item.read().catch(() => undefined);
  return bytes && createHash('sha256').update(bytes).digest('base64');
}
