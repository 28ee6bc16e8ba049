import { elementwise, isFloat, isInteger } from '../fold.js';
import { DATA_TYPE, type Dim } from '../model.js';
import { broadcastShapes } from './broadcast.js';
import type { NodeContext, Rule, Rules } from './context.js';
import { addDims, atMost, divideDims, floorDivideDim, multiplyDims, sameDim, subtractDims } from './dims.js';

type Fold = (dtype: number | undefined) => (...elements: Dim[]) => Dim;

/** Plain arithmetic on numbers, `symbolic` for the rest. */
function arithmetic(numbers: (a: number, b: number) => number, symbolic: (a: Dim, b: Dim) => Dim): Fold {
  return () => (a, b) => (typeof a === 'number' && typeof b === 'number' ? numbers(a, b) : symbolic(a, b));
}

function unary(numbers: (a: number) => number, symbolic: (a: Dim) => Dim = () => undefined): Fold {
  return () => (a) => (typeof a === 'number' ? numbers(a) : symbolic(a));
}

function truth(known: boolean | undefined): Dim {
  return known === undefined ? undefined : Number(known);
}

function negated(known: boolean | undefined): boolean | undefined {
  return known === undefined ? undefined : !known;
}

/** Integer division rounds towards zero; an expression is divided where that is the same as rounding down. */
const divide: Fold = (dtype) => (a, b) => {
  if (isFloat(dtype)) return typeof a === 'number' && typeof b === 'number' ? a / b : undefined;
  if (!isInteger(dtype) || b === 0) return undefined;
  if (typeof a === 'number' && typeof b === 'number') return Math.trunc(a / b);
  if (typeof b === 'number' && b > 0 && atMost(0, a)) return floorDivideDim(a, b);
  return typeof b === 'string' ? divideDims(a, b) : undefined;
};

/** Mod with fmod=0 takes the divisor's sign. */
const modulo: Fold = (dtype) => (a, b) => {
  if (!isInteger(dtype) || typeof b !== 'number' || b <= 0) return undefined;
  return subtractDims(a, multiplyDims(floorDivideDim(a, b), b));
};

function larger(a: Dim, b: Dim): Dim {
  const ordered = atMost(a, b);
  return ordered === undefined ? undefined : ordered ? b : a;
}

function smaller(a: Dim, b: Dim): Dim {
  const ordered = atMost(a, b);
  return ordered === undefined ? undefined : ordered ? a : b;
}

function roundHalfToEven(x: number): number {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}

/** The result takes the type of the first input whose type is known. */
function commonType(c: NodeContext, from = 0): number | undefined {
  for (let i = from; i < c.inputCount; i++) if (c.dtype(i) !== undefined) return c.dtype(i);
  return undefined;
}

function broadcasting(fold?: Fold, fixedType?: number): Rule {
  return (c) => {
    const inputs = Array.from({ length: c.inputCount }, (_, i) => c.input(i));
    const dtype = fixedType ?? commonType(c);
    return [elementwise(inputs, dtype, broadcastShapes(inputs.map((input) => input.shape)), fold?.(commonType(c)))];
  };
}

/** Arithmetic of two inputs; before opset 7 the second was aligned by the `axis` attribute and never widened the first. */
function arithmeticRule(fold?: Fold, fixedType?: number): Rule {
  const modern = broadcasting(fold, fixedType);
  return (c) => {
    if (c.opset >= 7) return modern(c);
    return [{ dtype: fixedType ?? commonType(c), shape: c.shape(0) }];
  };
}

function sameAsFirst(fold?: Fold, fixedType?: number): Rule {
  return (c) => [elementwise([c.input(0)], fixedType ?? c.dtype(0), c.shape(0), fold?.(c.dtype(0)))];
}

/** Min, Max, Sum, Mean: any number of inputs. */
function variadic(fold?: (a: Dim, b: Dim) => Dim): Rule {
  return broadcasting(
    fold &&
      (() =>
        (...elements) =>
          elements.reduce(fold)),
  );
}

const where: Rule = (c) => {
  const inputs = [c.input(0), c.input(1), c.input(2)];
  const shape = broadcastShapes(inputs.map((input) => input.shape));
  return [
    elementwise(inputs, c.dtype(1) ?? c.dtype(2), shape, (condition, yes, no) =>
      condition === undefined ? (yes === no ? yes : undefined) : condition === 0 ? no : yes,
    ),
  ];
};

function castTo(c: NodeContext, to: number | undefined) {
  const fromFloat = isFloat(c.dtype(0));
  return elementwise([c.input(0)], to, c.shape(0), (a) =>
    typeof a === 'number' && fromFloat && isInteger(to) ? Math.trunc(a) : a,
  );
}

const POW: Fold = (dtype) => (a, b) =>
  typeof a === 'number' && typeof b === 'number' && isInteger(dtype) && b >= 0 ? a ** b : undefined;

const SAME_TYPE = [
  'Acos Acosh Asin Asinh Atan Atanh BitwiseNot Celu Clip Cos Cosh CumProd CumSum Elu Erf Exp Gelu HardSigmoid',
  'HardSwish Hardmax Identity LRN LeakyRelu Log LogSoftmax LpNormalization MeanVarianceNormalization Mish PRelu',
  'Reciprocal Relu ReverseSequence RotaryEmbedding Scatter ScatterElements ScatterND Selu Shrink Sigmoid Sin Sinh',
  'Softmax Softplus Softsign Swish Tan Tanh TensorScatter ThresholdedRelu Trilu',
  'com.microsoft:BiasGelu com.microsoft:FastGelu com.microsoft:Gelu com.microsoft:QuickGelu',
  'com.microsoft:QLinearLeakyRelu com.microsoft:QLinearSigmoid com.microsoft:QLinearSoftmax',
  'com.microsoft:RotaryEmbedding',
]
  .join(' ')
  .split(' ');

/** Operators whose result has the broadcast shape of their inputs, and those that keep the shape of their first one. */
export const elementwiseRules: Rules = {
  ...Object.fromEntries(SAME_TYPE.map((name) => [name, sameAsFirst()])),
  Identity: (c) => [c.input(0)],
  Abs: sameAsFirst(unary(Math.abs, (a) => (atMost(0, a) ? a : undefined))),
  Ceil: sameAsFirst(unary(Math.ceil)),
  Floor: sameAsFirst(unary(Math.floor)),
  Round: sameAsFirst(unary(roundHalfToEven)),
  Sqrt: sameAsFirst(unary(Math.sqrt)),
  Sign: sameAsFirst(unary(Math.sign, (a) => (atMost(1, a) ? 1 : undefined))),
  Neg: sameAsFirst(
    unary(
      (a) => -a,
      (a) => subtractDims(0, a),
    ),
  ),
  Not: sameAsFirst(unary((a) => Number(a === 0))),
  IsInf: sameAsFirst(undefined, DATA_TYPE.bool),
  IsNaN: sameAsFirst(undefined, DATA_TYPE.bool),
  Bernoulli: (c) => [{ dtype: c.int('dtype') ?? c.dtype(0), shape: c.shape(0) }],
  RandomNormalLike: (c) => [{ dtype: c.int('dtype') ?? c.dtype(0), shape: c.shape(0) }],
  RandomUniformLike: (c) => [{ dtype: c.int('dtype') ?? c.dtype(0), shape: c.shape(0) }],
  EyeLike: (c) => [{ dtype: c.int('dtype') ?? c.dtype(0), shape: c.shape(0) }],
  Cast: (c) => [castTo(c, c.int('to'))],
  CastLike: (c) => [castTo(c, c.dtype(1))],
  Dropout: (c) => [c.input(0), { dtype: c.opset >= 10 ? DATA_TYPE.bool : c.dtype(0), shape: c.shape(0) }],

  Add: arithmeticRule(arithmetic((a, b) => a + b, addDims)),
  Sub: arithmeticRule(arithmetic((a, b) => a - b, subtractDims)),
  Mul: arithmeticRule(arithmetic((a, b) => a * b, multiplyDims)),
  Div: arithmeticRule(divide),
  Mod: (c) => broadcasting(c.int('fmod', 0) === 0 ? modulo : undefined)(c),
  Pow: (c) => [
    elementwise([c.input(0), c.input(1)], c.dtype(0), broadcastShapes([c.shape(0), c.shape(1)]), POW(c.dtype(0))),
  ],
  Max: variadic(larger),
  Min: variadic(smaller),
  Sum: variadic(),
  Mean: variadic(),
  BitShift: broadcasting(),
  BitwiseAnd: broadcasting(),
  BitwiseOr: broadcasting(),
  BitwiseXor: broadcasting(),
  Equal: arithmeticRule(
    arithmetic(
      (a, b) => Number(a === b),
      (a, b) => truth(sameDim(a, b)),
    ),
    DATA_TYPE.bool,
  ),
  Less: arithmeticRule(
    arithmetic(
      (a, b) => Number(a < b),
      (a, b) => truth(negated(atMost(b, a))),
    ),
    DATA_TYPE.bool,
  ),
  LessOrEqual: broadcasting(
    arithmetic(
      (a, b) => Number(a <= b),
      (a, b) => truth(atMost(a, b)),
    ),
    DATA_TYPE.bool,
  ),
  Greater: arithmeticRule(
    arithmetic(
      (a, b) => Number(a > b),
      (a, b) => truth(negated(atMost(a, b))),
    ),
    DATA_TYPE.bool,
  ),
  GreaterOrEqual: broadcasting(
    arithmetic(
      (a, b) => Number(a >= b),
      (a, b) => truth(atMost(b, a)),
    ),
    DATA_TYPE.bool,
  ),
  And: arithmeticRule(() => (a, b) => (a === 0 || b === 0 ? 0 : a === 1 && b === 1 ? 1 : undefined), DATA_TYPE.bool),
  Or: arithmeticRule(() => (a, b) => (a === 1 || b === 1 ? 1 : a === 0 && b === 0 ? 0 : undefined), DATA_TYPE.bool),
  Xor: arithmeticRule(
    arithmetic(
      (a, b) => Number(a !== b),
      () => undefined,
    ),
    DATA_TYPE.bool,
  ),
  Where: where,
};
