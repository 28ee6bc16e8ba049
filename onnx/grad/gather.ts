import { intAttr } from '../attribute.js';
import type { Value } from '../build.js';
import { axisOf } from './axes.js';
import { filled } from './filled.js';
import type { GradNode } from './grad-node.js';
import type { GradRule } from './rule.js';

/**
 * Slices picked by index: dX is dY added up where they came from. Of a table (axis 0) it may be given as the rows that
 * were picked: a dense gradient would be as large as the table in each step.
 */
export const gather: GradRule = {
  opTypes: ['Gather'],
  gradient(at) {
    if (!at.wants(0)) return [];
    const axis = axisOf(at, intAttr(at.node, 'axis') ?? 0, at.inputShape(0).length);
    if (axis === 0 && at.takesRows(0)) {
      at.giveRows(0, { indices: at.input(1), rows: at.dY });
      return [];
    }
    return [one(at, axis) ?? scattered(at, axis)];
  },
};

/** One slice, at a constant index: zeros around it. */
function one(at: GradNode, axis: number): Value | undefined {
  const shape = at.inputShape(0);
  const picks = at.inputShape(1).reduce((product, size) => product * size, 1);
  if (picks !== 1 || !at.isConstant(1)) return undefined;
  const size = shape[axis] as number;
  const [index = 0] = at.integers(1);
  const position = index < 0 ? index + size : index;
  const slice = at.reshape(
    at.dY,
    shape.map((each, i) => (i === axis ? 1 : each)),
  );
  const before = shape.map((_, i) => (i === axis ? position : 0));
  const behind = shape.map((_, i) => (i === axis ? size - 1 - position : 0));
  return at.emit('Pad', [slice, at.builder.int64([...before, ...behind])]);
}

function scattered(at: GradNode, axis: number): Value {
  const shape = at.inputShape(0);
  const picks = at.inputShape(1).reduce((product, size) => product * size, 1);
  const picked = shape.map((size, i) => (i === axis ? picks : size));
  const line = at.reshape(
    at.input(1),
    shape.map((_, i) => (i === axis ? picks : 1)),
  );
  const indices = at.emit('Expand', [line, at.builder.int64(picked)]);
  return addAt(at, axis, indices, at.reshape(at.dY, picked));
}

/** Elements picked along an axis. */
export const gatherElements: GradRule = {
  opTypes: ['GatherElements'],
  gradient(at) {
    if (!at.wants(0)) return [];
    const axis = axisOf(at, intAttr(at.node, 'axis') ?? 0, at.inputShape(0).length);
    return [addAt(at, axis, at.input(1), at.dY)];
  },
};

/** ScatterElements adds one after another: a sum has one order, and equal indices do not race. */
function addAt(at: GradNode, axis: number, indices: Value, updates: Value): Value {
  return at.emit('ScatterElements', [filled(at, 0, at.inputShape(0)), indices, updates], { axis, reduction: 'add' });
}
