import { Random } from '../../base/random.js';
import type { WorkloadItem } from '../../workloads/types.js';

/**
 * At most so many of a part's items, in their order; all where it has no more. The same ones each time, and spread at
 * random: a part that is sorted by class must not give the first class alone.
 */
export function drawnItems(items: readonly WorkloadItem[], limit: number): readonly WorkloadItem[] {
  if (items.length <= limit) return items;
  const drawn = new Random(1).shuffle(items.map((_, i) => i)).slice(0, limit);
  return drawn.sort((a, b) => a - b).flatMap((i) => items[i] ?? []);
}
