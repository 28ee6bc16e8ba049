import type { Dim } from '../../../onnx/model.js';
import type { AxisLabels } from '../coupling.js';
import { type PruneRule, type PruneRules, type ShrinkNode, withAttributes, withInput } from '../rule.js';
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

/**
 * The target of a Reshape that worked it out of other shapes: numbers where they are known, 0 for an axis that is passed
 * on, -1 for one that is neither; undefined when there are two of these.
 *
 * @param sizeAt the size of an axis of the output that is known besides
 */
function constantTarget(
  from: readonly Dim[] | undefined,
  to: readonly Dim[] | undefined,
  sizeAt: (axis: number) => number | undefined,
): readonly number[] | undefined {
  const target = to?.map((dim, axis) => {
    const size = sizeAt(axis) ?? dim;
    if (typeof size === 'number') return size;
    return dim !== undefined && from?.[axis] === dim ? 0 : -1;
  });
  return target && target.filter((size) => size === -1).length <= 1 ? target : undefined;
}

const reshape: PruneRule = {
  trace(at) {
    if (!traceReshape(at)) return false;
    if (at.integers(1)) return true;
    const [x, out] = [at.name(0), at.node.outputs[0] as string];
    const { labels, symbolic } = at.trace;
    const own = labels.get(out) ?? [];
    if (!own.some((each) => each) && !at.axes(0).some((each) => each)) return true;
    const known = (axis: number) => own[axis]?.length;
    return constantTarget(symbolic.get(x)?.shape, symbolic.get(out)?.shape, known) !== undefined;
  },
  shrink(at) {
    const [x = '', name] = at.node.inputs;
    const out = at.node.outputs[0] as string;
    const given = at.integers(name);
    const kept = (axis: number) => at.kept(out, axis)?.length;
    if (given) {
      if (!changed(at)) return at.node;
      return withInput(at.node, 1, at.constant(given.map((size, axis) => kept(axis) ?? size)));
    }
    // What it was worked out of may be sizes of other tensors, which have changed.
    const target = constantTarget(at.symbolic(x), at.symbolic(out), kept);
    if (!target) return at.node;
    return withAttributes(withInput(at.node, 1, at.constant(target)), { allowzero: undefined });
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
