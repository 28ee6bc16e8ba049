import { intAttr } from '../attribute.js';
import type { Value } from '../build.js';
import { DATA_TYPE } from '../model.js';
import { axesOf } from './axes.js';
import type { GradNode } from './grad-node.js';
import type { GradRule } from './rule.js';

/** What a reduction has left: gradient and result, with the reduced axes kept as 1. */
interface Reduced {
  readonly dY: Value;
  readonly y: Value;
  readonly axes: readonly number[];
  /** Elements in each sum. */
  readonly count: number;
}

/** dX, or something that is dX when it is broadcast to the shape of X. */
type Gradient = (at: GradNode, x: Value, reduced: Reduced) => Value;

const GRADIENTS: Readonly<Record<string, Gradient>> = {
  ReduceSum: (_at, _x, { dY }) => dY,
  ReduceMean: (at, _, { dY, count }) => at.emit('Mul', [dY, at.scalar(1 / count)]),
  ReduceSumSquare: (at, x, { dY }) => at.emit('Mul', [x, at.emit('Add', [dY, dY])]),
  ReduceL1: (at, x, { dY }) => at.emit('Mul', [at.emit('Sign', [x]), dY]),
  ReduceL2: (at, x, { dY, y }) => {
    // The norm of zeros has no derivative: 0, as PyTorch has it.
    const isZero = at.emit('Equal', [y, at.scalar(0)]);
    return at.emit('Mul', [x, at.emit('Where', [isZero, at.scalar(0), at.emit('Div', [dY, y])])]);
  },
  ReduceLogSum: (at, _, { dY, y }) => at.emit('Div', [dY, at.emit('Exp', [y])]),
  ReduceLogSumExp: (at, x, { dY, y }) => at.emit('Mul', [dY, at.emit('Exp', [at.emit('Sub', [x, y])])]),
  ReduceMax: extreme,
  ReduceMin: extreme,
  ReduceProd: (at, x, { dY, axes }) => {
    // Of the others' product: 0 where another is 0, and where x itself is 0 the product of all that are not.
    const isZero = at.emit('Equal', [x, at.scalar(0)]);
    const filledIn = at.emit('Where', [isZero, at.scalar(1), x]);
    const product = at.emit('ReduceProd', [filledIn, at.builder.int64(axes)], { keepdims: 1 });
    const others = at.emit('Div', [product, filledIn]);
    const zero = at.emit('Cast', [isZero], { to: DATA_TYPE.float32 });
    const isAlone = at.emit('Equal', [at.emit('Sub', [at.sum(zero, axes, true), zero]), at.scalar(0)]);
    return at.emit('Mul', [dY, at.emit('Where', [isAlone, others, at.scalar(0)])]);
  },
};

/** To the least or greatest, shared where several are. */
function extreme(at: GradNode, x: Value, { dY, y, axes }: Reduced): Value {
  const isIt = at.emit('Cast', [at.emit('Equal', [x, y])], { to: DATA_TYPE.float32 });
  return at.emit('Mul', [isIt, at.emit('Div', [dY, at.sum(isIt, axes, true)])]);
}

/** Reductions over axes; none named is over all. */
export const reduce: GradRule = {
  opTypes: Object.keys(GRADIENTS),
  gradient(at) {
    const shape = at.inputShape(0);
    const axes = reducedAxes(at, shape);
    const kept = shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
    const count = axes.reduce((product, axis) => product * (shape[axis] as number), 1);
    const withAxes = (tensor: Value): Value => (sameShape(at.outputShape(), kept) ? tensor : at.reshape(tensor, kept));
    const dY = withAxes(at.dY);
    const spread = GRADIENTS[at.node.opType]?.(at, at.input(0), { dY, y: withAxes(at.output()), axes, count }) as Value;
    return [at.emit('Expand', [spread, at.builder.int64(shape)])];
  },
};

function reducedAxes(at: GradNode, shape: readonly number[]): readonly number[] {
  const given = at.has(1) ? at.integers(1) : [];
  if (given.length > 0) return axesOf(at, given, shape.length);
  return intAttr(at.node, 'noop_with_empty_axes') === 1 ? [] : shape.map((_, axis) => axis);
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}
