import { intAttr } from '../../../onnx/attribute.js';
import { type PruneRule, type PruneRules, sizeOf, withAttributes } from '../rule.js';
import type { TraceNode } from '../trace.js';

/** A scale, a shift and statistics for each channel: no channel looks at another. */
const perChannel: PruneRule = {
  trace(at) {
    if (!at.shape(0)) return false;
    const channels = at.axis(0, 1);
    for (let input = 1; input < at.node.inputs.length; input++) at.accompany(channels, input, 0);
    at.give(at.axes(0));
    return true;
  },
};

/** Mean and variance over the last axes: what goes changes them for what stays. */
const layerNormalization: PruneRule = {
  trace(at) {
    const shape = at.shape(0);
    if (!shape) return false;
    const first = (at.int('axis', -1) + shape.length) % shape.length;
    for (let axis = first; axis < shape.length; axis++) {
      const labels = at.axis(0, axis);
      if (labels) at.coupling.affect(labels, `${at.label} normalises over them`);
      for (const input of [1, 2]) at.accompany(labels, input, axis - shape.length);
    }
    at.give(at.axes(0));
    return true;
  },
};

/** Groups of channels that are normalised together go together, so that no statistic changes. */
const groupNormalization: PruneRule = {
  trace(at) {
    const shape = at.shape(0);
    const groups = at.int('num_groups', 1);
    if (!shape) return false;
    const channels = at.axis(0, 1);
    if (!channels) {
      for (const input of [1, 2]) at.accompany(undefined, input, 0);
      return true;
    }
    const size = channels.length / groups;
    for (const [i, label] of channels.entries()) at.coupling.join(label, channels[i - (i % size)] as number);
    // Up to version 20 there is a scale for each group, since then one for each channel.
    const beside = (at.shape(1)?.[0] ?? 0) === channels.length ? channels : channels.filter((_, i) => i % size === 0);
    for (const input of [1, 2]) at.accompany(beside, input, 0);
    at.give(at.axes(0));
    return true;
  },
  shrink(at) {
    const x = at.node.inputs[0] as string;
    const groups = intAttr(at.node, 'num_groups') ?? 1;
    return withAttributes(at.node, { num_groups: (groups * sizeOf(at, x, 1)) / (at.before(x)?.[1] ?? 1) });
  },
};

/** Shares along an axis add up to 1: an index that is gone would change all others, whatever its weights are. */
const softmax: PruneRule = {
  trace(at) {
    const shape = at.shape(0);
    if (!shape) return false;
    const first = (at.int('axis', at.opset >= 13 ? -1 : 1) + shape.length) % shape.length;
    const last = at.opset >= 13 ? first : shape.length - 1;
    for (let axis = first; axis <= last; axis++) at.fix(0, axis, `${at.label} shares out over them`);
    at.give(at.axes(0).map((labels, axis) => (axis >= first && axis <= last ? undefined : labels)));
    return true;
  },
};

/** Norms over one axis. */
const lpNormalization: PruneRule = {
  trace(at) {
    if (!at.shape(0)) return false;
    noteChange(at, at.int('axis', -1));
    at.give(at.axes(0));
    return true;
  },
};

function noteChange(at: TraceNode, axis: number): void {
  const labels = at.axis(0, axis);
  if (labels) at.coupling.affect(labels, `${at.label} normalises over them`);
}

export const normalizationRules: PruneRules = {
  BatchNormalization: perChannel,
  InstanceNormalization: perChannel,
  LayerNormalization: layerNormalization,
  RMSNormalization: layerNormalization,
  GroupNormalization: groupNormalization,
  LpNormalization: lpNormalization,
  Softmax: softmax,
  LogSoftmax: softmax,
  Hardmax: softmax,
};
