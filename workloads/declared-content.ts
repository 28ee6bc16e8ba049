import type { WorkloadItem } from './types.js';

const declared = new WeakMap<readonly WorkloadItem[], string>();

/**
 * Says what a list of items follows from, such as a generator's version and its seed: two lists with the same are the
 * same, and none of their items has to be read to know that.
 */
export function declareContent(items: readonly WorkloadItem[], content: string): readonly WorkloadItem[] {
  declared.set(items, content);
  return items;
}

/** What was declared of this very list; undefined for any other, a part of it included. */
export function declaredContent(items: readonly WorkloadItem[]): string | undefined {
  return declared.get(items);
}
