import { known } from '../fold.js';
import { DATA_TYPE, type Dim } from '../model.js';
import {
  axesOf,
  axesOption,
  axisOf,
  type NodeContext,
  type Rule,
  type Rules,
  unknownDims,
  withDim,
} from './context.js';
import { addDims, atMost, multiplyDims } from './dims.js';

/** Shape after reducing some axes; every axis when none is given, unless `noop_with_empty_axes` says not to. */
function reducedShape(c: NodeContext): readonly Dim[] | undefined {
  const shape = c.shape(0);
  if (!shape) return undefined;
  const keep = c.int('keepdims', 1) === 1;
  let given = axesOption(c, 1);
  if (given === undefined) return keep ? unknownDims(shape.length) : undefined;
  if (given === null || given.length === 0) {
    if (c.int('noop_with_empty_axes', 0) === 1) return shape;
    given = shape.map((_, i) => i);
  }
  const axes = axesOf(given, shape.length);
  if (!axes) return keep ? unknownDims(shape.length) : undefined;
  return shape.flatMap((dim, i) => (axes.includes(i) ? (keep ? [1] : []) : [dim]));
}

/** A reduction; `fold` follows the value of a list that becomes one element. */
function reduction(fold?: (a: Dim, b: Dim) => Dim): Rule {
  return (c) => {
    const shape = reducedShape(c);
    const { dtype, value } = c.input(0);
    const whole = c.shape(0)?.length === 1 && shape?.every((dim) => dim === 1) && value && value.length > 0;
    const folds = fold && whole && (dtype === DATA_TYPE.int64 || dtype === DATA_TYPE.int32);
    return [folds ? known(dtype, shape, [value.reduce(fold)]) : { dtype, shape }];
  };
}

function pick(least: boolean): (a: Dim, b: Dim) => Dim {
  return (a, b) => {
    const ordered = atMost(a, b);
    return ordered === undefined ? undefined : ordered === least ? a : b;
  };
}

const argument: Rule = (c) => {
  const shape = c.shape(0);
  const axis = shape && axisOf(c.int('axis', 0), shape.length);
  const keep = c.int('keepdims', 1) === 1;
  if (!shape || axis === undefined) return [{ dtype: DATA_TYPE.int64, shape: undefined }];
  return [{ dtype: DATA_TYPE.int64, shape: keep ? withDim(shape, axis, 1) : shape.filter((_, i) => i !== axis) }];
};

const topK: Rule = (c) => {
  const shape = c.shape(0);
  const axis = shape && axisOf(c.int('axis', -1), shape.length);
  const k = c.int('k') ?? c.value(1)?.[0];
  const result = shape && axis !== undefined ? withDim(shape, axis, k) : undefined;
  return [
    { dtype: c.dtype(0), shape: result },
    { dtype: DATA_TYPE.int64, shape: result },
  ];
};

/** Reductions along axes. */
export const reductionRules: Rules = {
  ...Object.fromEntries(
    ['L1', 'L2', 'LogSum', 'LogSumExp', 'Mean', 'SumSquare'].map((name) => [`Reduce${name}`, reduction()]),
  ),
  ReduceSum: reduction(addDims),
  ReduceProd: reduction(multiplyDims),
  ReduceMax: reduction(pick(false)),
  ReduceMin: reduction(pick(true)),
  ArgMax: argument,
  ArgMin: argument,
  TopK: topK,
};
