import type { Examined } from './examined.js';
import type { NodeWork } from './node-work.js';

/** A layer of the original, and what it is in the variant. */
export interface LayerPair {
  readonly original: NodeWork;
  readonly variant: NodeWork;
}

/**
 * The layers that multiply, of an original and its variant, side by side: in the order in which they run where they are
 * as many and each does the work of the other, by their names where not. Those that match nothing are left out.
 */
export function layerPairs(original: Examined, variant: Examined): readonly LayerPair[] {
  const before = original.work.filter(({ macs }) => macs > 0);
  const after = variant.work.filter(({ macs }) => macs > 0);
  const inOrder = before.flatMap((layer, i): LayerPair[] => {
    const other = after[i];
    return other && isSameWork(layer, other) ? [{ original: layer, variant: other }] : [];
  });
  if (before.length === after.length && inOrder.length === before.length) return inOrder;
  const byName = new Map(after.map((layer) => [plainName(layer.name), layer]));
  return before.flatMap((layer): LayerPair[] => {
    const other = byName.get(plainName(layer.name));
    return other && isSameWork(layer, other) ? [{ original: layer, variant: other }] : [];
  });
}

/** Layouts that pad channels make a little more work of a layer. */
function isSameWork(a: NodeWork, b: NodeWork): boolean {
  return a.macs <= 2 * b.macs && b.macs <= 2 * a.macs;
}

/** A node's name without what optimisers and quantisers add to it. */
function plainName(name: string): string {
  return name.replace(/^fused /, '').replace(/(_quant|_nchwc|_token_\d+|_gemm|_fused)+$/, '');
}
