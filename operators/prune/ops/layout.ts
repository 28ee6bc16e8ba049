import { intAttr } from '../../../onnx/attribute.js';
import type { AxisLabels } from '../coupling.js';
import { type PruneRule, type PruneRules, type ShrinkNode, sizeOf, withInput } from '../rule.js';
import type { TraceNode } from '../trace.js';
import { type AxisBlock, axisBlocks } from './axis-blocks.js';

/**
 * Reshape, Flatten, Squeeze and Unsqueeze: elements stay in their order. Axes of the two shapes pair up in blocks; one
 * that becomes several loses indices along one of these alone (the heads of an attention), so the others' are coupled.
 */
function traceReshape(at: TraceNode): boolean | undefined {
  const [from, to] = [at.shape(0), at.outputShape()];
  const blocks = from && to && axisBlocks(from, to);
  if (!blocks) return false;
  const labels = new Array<AxisLabels | undefined>(to.length).fill(undefined);
  let splits = 0;
  for (const block of blocks) {
    const own = block.from.flatMap((axis) => at.axis(0, axis) ?? []);
    if (own.length === 0) continue;
    if (block.from.length === 1 && block.to.length === 1) labels[block.to[0] as number] = own[0];
    else if (block.from.length === 1) {
      // Two axes of one node that are split are rare: the second keeps its size.
      if (splits++ > 0) at.fix(0, block.from[0] as number, `${at.label} splits two axes`);
      else split(at, block, to, own[0] as AxisLabels, labels);
    } else if (block.to.length === 1) merge(at, block, from, labels);
    else for (const axis of block.from) at.fix(0, axis, `${at.label} deals them out anew`);
  }
  at.give(labels);
  return true;
}

function split(
  at: TraceNode,
  block: AxisBlock,
  to: readonly number[],
  own: AxisLabels,
  labels: (AxisLabels | undefined)[],
): void {
  const { position, trace, coupling } = at;
  const choice = trace.carriers.get(position) ?? 0;
  const carrier = block.to[choice] as number;
  const size = to[carrier] as number;
  const inner = block.to.slice(choice + 1).reduce((product, axis) => product * (to[axis] as number), 1);
  const carried = new Int32Array(size).fill(-1);
  own.forEach((label, i) => {
    const index = Math.floor(i / inner) % size;
    if (carried[index] === -1) carried[index] = label;
    else coupling.join(carried[index] as number, label);
  });
  coupling.markHeads(carried);
  trace.splits.set(position, { choices: block.to.length, labels: carried });
  labels[carrier] = carried;
}

function merge(at: TraceNode, block: AxisBlock, from: readonly number[], labels: (AxisLabels | undefined)[]): void {
  const [carrier, ...others] = block.from.filter((axis) => at.axis(0, axis));
  for (const axis of others) at.fix(0, axis, `${at.label} makes one axis of two that could lose indices`);
  const own = at.axis(0, carrier as number) as AxisLabels;
  const place = block.from.indexOf(carrier as number);
  const inner = block.from.slice(place + 1).reduce((product, axis) => product * (from[axis] as number), 1);
  const total = block.from.reduce((product, axis) => product * (from[axis] as number), 1);
  labels[block.to[0] as number] = Int32Array.from(
    { length: total },
    (_, i) => own[Math.floor(i / inner) % own.length] as number,
  );
}

/** Whether an axis of the input or the output has lost indices. */
function changed(at: ShrinkNode): boolean {
  return [at.node.inputs[0], at.node.outputs[0]].some((tensor = '') =>
    (at.before(tensor) ?? []).some((_, axis) => at.kept(tensor, axis)),
  );
}

const reshape: PruneRule = {
  trace: traceReshape,
  shrink(at) {
    if (!changed(at)) return at.node;
    const [x = '', target] = at.node.inputs;
    const out = at.node.outputs[0] as string;
    const given = at.integers(target);
    const rank = at.before(out)?.length ?? 0;
    const copies = (intAttr(at.node, 'allowzero') ?? 0) === 0;
    const [from, to] = [at.symbolic(x), at.symbolic(out)];
    let open = false;
    const values = Array.from({ length: rank }, (_, axis) => {
      if (at.kept(out, axis)) return sizeOf(at, out, axis);
      if (given?.[axis] !== undefined && given[axis] > 0) return given[axis] as number;
      // What the shape says may not hold any more: -1 may have stood for an axis that is another now.
      if (typeof to?.[axis] === 'number') return to[axis] as number;
      const same = copies && to?.[axis] !== undefined && from?.[axis] === to[axis] && !at.kept(x, axis);
      if (same || given?.[axis] === 0) return 0;
      if (!open) {
        open = true;
        return -1;
      }
      return given?.[axis] ?? at.before(out)?.[axis] ?? 1;
    });
    return withInput(at.node, 1, at.constant(values));
  },
};

const transpose: PruneRule = {
  trace(at) {
    const shape = at.shape(0);
    if (!shape) return false;
    const order = at.ints('perm') ?? shape.map((_, axis) => shape.length - 1 - axis);
    at.give(order.map((axis) => at.axis(0, axis)));
    return true;
  },
};

export const layoutRules: PruneRules = {
  Reshape: reshape,
  Flatten: { trace: traceReshape },
  Squeeze: { trace: traceReshape },
  Unsqueeze: { trace: traceReshape },
  Transpose: transpose,
};
