import type { Examined } from '../examined.js';
import type { NodeWork } from '../node-work.js';
import { countOf, type FindReason, formatMs, named, sumMs } from './reason.js';

const LAYOUT_KERNELS = new Set(['Transpose', 'com.microsoft.nchwc:ReorderInput', 'com.microsoft.nchwc:ReorderOutput']);

/**
 * Nodes that the runtime put in between kernels that want different layouts: quantised convolutions want channels last,
 * float ones in blocks, and other nodes first.
 */
export const layouts: FindReason = ({ variant, original }) => {
  const found = added(variant);
  const ms = sumMs(found);
  const before = original ? sumMs(added(original)) : 0;
  if (found.length === 0 || ms <= before) return undefined;
  const beside = original ? ` (${formatMs(before)} in the original)` : '';
  return {
    reason: 'layouts',
    ms: ms - before,
    says: `Kernels want different layouts, and between them the runtime put ${countOf(found.length, 'node')} that move elements: ${formatMs(ms)}${beside}.`,
    nodes: named(found),
  };
};

function added({ work, model }: Examined): readonly NodeWork[] {
  const own = new Set(model.graph.nodes.map(({ name }) => name));
  return work.filter(({ kernel, name }) => LAYOUT_KERNELS.has(kernel) && !own.has(name));
}
