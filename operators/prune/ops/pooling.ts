import { axisOf } from '../../../onnx/shapes/context.js';
import type { PruneRule, PruneRules } from '../rule.js';

/** Works within each channel, over the axes behind it. */
const pool: PruneRule = {
  trace(at) {
    const shape = at.shape(0);
    // The second output has places in the whole tensor.
    if (!shape || at.node.outputs[1]) return false;
    for (let axis = 2; axis < shape.length; axis++) at.fix(0, axis, `${at.label} pools them`);
    at.give([at.axis(0, 0), at.axis(0, 1)]);
    return true;
  },
};

const reduce: PruneRule = {
  trace(at) {
    const shape = at.shape(0);
    if (!shape) return false;
    const given = at.ints('axes') ?? (at.has(1) ? at.integers(1) : []);
    if (!given) return false;
    const none = given.length === 0 && at.int('noop_with_empty_axes', 0) === 1;
    const all = given.length === 0 && !none ? shape.map((_, axis) => axis) : given;
    const axes = new Set(all.map((axis) => axisOf(axis, shape.length)));
    const labels = at.axes(0);
    for (const axis of axes) {
      const reduced = labels[axis ?? 0];
      if (reduced) at.coupling.affect(reduced, `${at.label} makes one number of them`);
    }
    const keep = at.int('keepdims', 1) === 1;
    at.give(labels.flatMap((each, axis) => (axes.has(axis) ? (keep ? [undefined] : []) : [each])));
    return true;
  },
};

const REDUCTIONS = ['Sum', 'Mean', 'Max', 'Min', 'Prod', 'L1', 'L2', 'LogSum', 'LogSumExp', 'SumSquare'];

export const poolingRules: PruneRules = {
  MaxPool: pool,
  AveragePool: pool,
  LpPool: pool,
  GlobalAveragePool: pool,
  GlobalMaxPool: pool,
  GlobalLpPool: pool,
  ...Object.fromEntries(REDUCTIONS.map((type) => [`Reduce${type}`, reduce])),
};
