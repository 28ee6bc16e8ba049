import { floatAttr } from '../attribute.js';
import type { Value } from '../build.js';
import type { GradNode } from './grad-node.js';
import { isPositive } from './is-positive.js';
import type { GradRule } from './rule.js';

/** Made of X and Y. */
type Derivative = (at: GradNode, x: Value, y: Value) => Value;

/** f'(X), often shortest in terms of Y. Where there is none: what PyTorch has. */
const FACTORS: Readonly<Record<string, Derivative>> = {
  Abs: (at, x) => at.emit('Sign', [x]),
  Exp: (_, _x, y) => y,
  Sin: (at, x) => at.emit('Cos', [x]),
  Cos: (at, x) => at.emit('Neg', [at.emit('Sin', [x])]),
  Sigmoid: (at, _, y) => at.emit('Sub', [y, square(at, y)]),
  Tanh: (at, _, y) => at.emit('Sub', [at.scalar(1), square(at, y)]),
  Softplus: (at, x) => at.emit('Sigmoid', [x]),
  Softsign: (at, _, y) => square(at, at.emit('Sub', [at.scalar(1), at.emit('Abs', [y])])),
  Reciprocal: (at, _, y) => at.emit('Neg', [square(at, y)]),
  Erf: (at, x) =>
    at.emit('Mul', [at.emit('Exp', [at.emit('Neg', [square(at, x)])]), at.scalar(2 / Math.sqrt(Math.PI))]),
  LeakyRelu: (at, x) => {
    const below = floatAttr(at.node, 'alpha') ?? 0.01;
    return at.emit('Add', [at.emit('Mul', [isPositive(at, x), at.scalar(1 - below)]), at.scalar(below)]);
  },
  Elu: (at, x, y) => exponentialBelow(at, x, at.emit('Min', [y, at.scalar(0)]), floatAttr(at.node, 'alpha') ?? 1, 1),
  Celu: (at, x, y) => {
    const scaled = at.emit('Mul', [y, at.scalar(1 / (floatAttr(at.node, 'alpha') ?? 1))]);
    return exponentialBelow(at, x, at.emit('Min', [scaled, at.scalar(0)]), 1, 1);
  },
  Selu: (at, x, y) => {
    const gamma = floatAttr(at.node, 'gamma') ?? 1.0507010221481323;
    const alpha = floatAttr(at.node, 'alpha') ?? 1.6732631921768188;
    return exponentialBelow(at, x, at.emit('Min', [y, at.scalar(0)]), gamma * alpha, gamma);
  },
  HardSigmoid: (at, _, y) => at.emit('Mul', [between0And1(at, y), at.scalar(floatAttr(at.node, 'alpha') ?? 0.2)]),
  // The gate max(0, min(1, x / 6 + 1/2)), and where it is neither 0 nor 1 x / 6 besides.
  HardSwish: (at, x) => {
    const gate = at.emit('HardSigmoid', [x], { alpha: 1 / 6, beta: 0.5 });
    const slope = at.emit('Mul', [at.emit('Mul', [x, between0And1(at, gate)]), at.scalar(1 / 6)]);
    return at.emit('Add', [gate, slope]);
  },
  // x tanh(s), s = softplus(x): tanh(s) + x (1 - tanh(s)^2) sigmoid(x)
  Mish: (at, x) => {
    const gate = at.emit('Tanh', [at.emit('Softplus', [x])]);
    const rise = at.emit('Mul', [at.emit('Sub', [at.scalar(1), square(at, gate)]), at.emit('Sigmoid', [x])]);
    return at.emit('Add', [gate, at.emit('Mul', [x, rise])]);
  },
};

/** Where dX has a shorter form than a product. */
const GRADIENTS: Readonly<Record<string, Derivative>> = {
  Neg: (at) => at.emit('Neg', [at.dY]),
  Log: (at, x) => at.emit('Div', [at.dY, x]),
  Sqrt: (at, _, y) => at.emit('Div', [at.dY, at.emit('Add', [y, y])]),
};

/** Functions of one number: dX = dY f'(X). */
export const unary: GradRule = {
  opTypes: [...Object.keys(FACTORS), ...Object.keys(GRADIENTS)],
  gradient(at) {
    const [x, y, { opType }] = [at.input(0), at.output(), at.node];
    const factor = FACTORS[opType]?.(at, x, y);
    return [factor === undefined ? GRADIENTS[opType]?.(at, x, y) : at.emit('Mul', [at.dY, factor])];
  },
};

function square(at: GradNode, x: Value): Value {
  return at.emit('Mul', [x, x]);
}

function between0And1(at: GradNode, y: Value): Value {
  return isPositive(at, at.emit('Sub', [y, square(at, y)]));
}

/** `part` + `height` where x < 0, where part rises from -height to 0; `above` where x > 0, where part is 0. */
function exponentialBelow(at: GradNode, x: Value, part: Value, height: number, above: number): Value {
  const below = at.emit('Add', [part, at.scalar(height)]);
  if (above === height) return below;
  return at.emit('Add', [below, at.emit('Mul', [isPositive(at, x), at.scalar(above - height)])]);
}
