import { intAttr } from '../../../onnx/attribute.js';
import type { AxisLabels } from '../coupling.js';
import { type PruneRule, type PruneRules, sizeOf, withAttributes } from '../rule.js';
import type { TraceNode } from '../trace.js';

/** Labels of one group's part of the channels. */
function part(labels: AxisLabels, group: number, groups: number): AxisLabels {
  const size = labels.length / groups;
  return labels.subarray(group * size, (group + 1) * size);
}

function joinAll(at: TraceNode, labels: readonly number[]): void {
  for (const label of labels) at.coupling.join(labels[0] as number, label);
}

/** Couples labels that have the same place in every group. */
function joinPlaces(at: TraceNode, labels: AxisLabels, groups: number): void {
  const size = labels.length / groups;
  for (let i = size; i < labels.length; i++) at.coupling.join(labels[i % size] as number, labels[i] as number);
}

/**
 * Couples what goes into a grouped convolution with what comes out of it. Groups must stay of one size, so what can go is
 * either a whole group, its inputs with its outputs (as in a depthwise convolution), or one place of every group. Whole
 * groups go where there are at least as many of them as there are channels in one: that is the finer choice.
 *
 * @param inside labels of the weight's axis that counts the channels of one group, asked for when places go
 */
function coupleGroups(
  at: TraceNode,
  groups: number,
  given: AxisLabels | undefined,
  out: AxisLabels | undefined,
  channels: number,
  inside: { readonly of: 'given' | 'out'; labels(): AxisLabels | undefined; fix(reason: string): void },
): void {
  if (groups >= channels / groups) {
    inside.fix(`${at.label} loses whole groups`);
    if (!given || !out) {
      for (const labels of [given, out]) if (labels) at.coupling.pin(labels, at.meets(0));
      return;
    }
    for (let g = 0; g < groups; g++) joinAll(at, [...part(given, g, groups), ...part(out, g, groups)]);
    return;
  }
  if (given) joinPlaces(at, given, groups);
  if (out) joinPlaces(at, out, groups);
  const places = inside.labels();
  const whole = inside.of === 'given' ? given : out;
  if (places && whole) at.coupling.joinAxes(places, part(whole, 0, groups));
  else if (places) at.coupling.pin(places, at.meets(0));
}

function fixKernel(at: TraceNode): void {
  for (let axis = 2; axis < (at.shape(1)?.length ?? 0); axis++) at.fix(1, axis, `the kernel of ${at.label}`);
  for (let axis = 2; axis < (at.shape(0)?.length ?? 0); axis++) at.fix(0, axis, `${at.label} slides over them`);
}

/** Weight [channels out, channels in / groups, kernel...]. */
const conv: PruneRule = {
  trace(at) {
    const weight = at.shape(1);
    if (!weight || !at.shape(0)) return false;
    fixKernel(at);
    const groups = at.int('group', 1);
    let out: AxisLabels | undefined;
    if (groups === 1) {
      at.couple([
        [0, 1],
        [1, 1],
      ]);
      out = at.axis(1, 0);
    } else {
      out = at.axis(1, 0);
      coupleGroups(at, groups, at.axis(0, 1), out, (weight[1] as number) * groups, {
        of: 'given',
        labels: () => at.axis(1, 1),
        fix: (reason) => at.fix(1, 1, reason),
      });
    }
    at.accompany(out, 2, 0);
    at.give([undefined, out]);
    return true;
  },
  shrink(at) {
    const [x, w] = at.node.inputs as [string, string];
    if ((intAttr(at.node, 'group') ?? 1) === 1) return at.node;
    return withAttributes(at.node, { group: sizeOf(at, x, 1) / sizeOf(at, w, 1) });
  },
};

/** Weight [channels in, channels out / groups, kernel...]. */
const convTranspose: PruneRule = {
  trace(at) {
    const weight = at.shape(1);
    if (!weight || !at.shape(0)) return false;
    fixKernel(at);
    const groups = at.int('group', 1);
    let out: AxisLabels | undefined;
    if (groups === 1) {
      at.couple([
        [0, 1],
        [1, 0],
      ]);
      out = at.axis(1, 1);
    } else {
      const given = at.couple([
        [0, 1],
        [1, 0],
      ]);
      // The weight has the channels of one group alone.
      out = at.coupling.fresh((weight[1] as number) * groups);
      coupleGroups(at, groups, given, out, weight[0] as number, {
        of: 'out',
        labels: () => at.axis(1, 1),
        fix: (reason) => at.fix(1, 1, reason),
      });
    }
    at.accompany(out, 2, 0);
    at.give([undefined, out]);
    return true;
  },
  shrink(at) {
    const [, w] = at.node.inputs as [string, string];
    if ((intAttr(at.node, 'group') ?? 1) === 1) return at.node;
    return withAttributes(at.node, { group: sizeOf(at, at.node.outputs[0] as string, 1) / sizeOf(at, w, 1) });
  },
};

export const convolutionRules: PruneRules = { Conv: conv, ConvTranspose: convTranspose };
