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
  const byName = new Map(after.flatMap((layer) => namesOf(layer).map((name) => [name, layer] as const)));
  return before.flatMap((layer): LayerPair[] => {
    const other = namesOf(layer).flatMap((name) => byName.get(name) ?? [])[0];
    return other && isSameWork(layer, other) ? [{ original: layer, variant: other }] : [];
  });
}

/** Layouts that pad channels make a little more work of a layer. */
function isSameWork(a: NodeWork, b: NodeWork): boolean {
  return a.macs <= 2 * b.macs && b.macs <= 2 * a.macs;
}

/** What optimisers and quantisers add to the names of nodes and tensors. */
const ADDED = /^fused |(_quant|_quantized|_QuantizeLinear_Output|_output|_nchwc|_gemm|_fused|_token_\d+)+$/g;

/** Names that a layer goes by: its node's, and that of what it makes, without additions. */
function namesOf({ name, node }: NodeWork): readonly string[] {
  return [name, ...(node?.outputs.slice(0, 1) ?? [])].map((text) => text.replace(ADDED, ''));
}
