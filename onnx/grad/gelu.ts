import { stringAttr } from '../attribute.js';
import type { Value } from '../build.js';
import type { GradNode } from './grad-node.js';
import type { GradRule } from './rule.js';

/** Y = X P(X), P the normal distribution (Hendrycks and Gimpel, 2016, arXiv:1606.08415): dX = dY (P(X) + X p(X)). */
export const gelu: GradRule = {
  opTypes: ['Gelu'],
  gradient: (at) => [
    at.emit('Mul', [at.dY, stringAttr(at.node, 'approximate') === 'tanh' ? tanhSlope(at) : slope(at, at.input(0))]),
  ],
};

/** The same as ONNX Runtime's own operator, which is faster. */
export const microsoftGelu: GradRule = {
  opTypes: ['Gelu'],
  domain: 'com.microsoft',
  gradient: (at) => [at.emit('Mul', [at.dY, slope(at, at.input(0))])],
};

/** With u = x / sqrt 2: erf(u) / 2 + (1/2 + u exp(-u^2) / sqrt pi). */
function slope(at: GradNode, x: Value): Value {
  const u = at.emit('Mul', [x, at.scalar(Math.SQRT1_2)]);
  // Where the exponential is too large for a float, the quotient is 0, as it should be.
  const bell = at.emit('Div', [u, at.emit('Exp', [at.emit('Mul', [u, u])])]);
  // A product and a sum in one pass: what is in the brackets is between 0.25 and 0.75, so that nothing is cut.
  const second = at.emit('HardSigmoid', [bell], { alpha: 1 / Math.sqrt(Math.PI), beta: 0.5 });
  return at.emit('Add', [at.emit('Mul', [at.emit('Erf', [u]), at.scalar(0.5)]), second]);
}

/** Y = X (1 + t) / 2, t = tanh v, v = sqrt(2 / pi) (X + 0.044715 X^3): (1 + t) / 2 + X (1 - t^2) v' / 2. */
function tanhSlope(at: GradNode): Value {
  const x = at.input(0);
  const [one, half] = [at.scalar(1), at.scalar(0.5)];
  const k = Math.sqrt(2 / Math.PI);
  const square = at.emit('Mul', [x, x]);
  const polynomial = (first: number, third: number): Value =>
    at.emit('Add', [at.emit('Mul', [square, at.scalar(third)]), at.scalar(first)]);
  const t = at.emit('Tanh', [at.emit('Mul', [x, polynomial(k, k * 0.044715)])]);
  const rise = at.emit('Mul', [
    at.emit('Mul', [x, polynomial(k, 3 * k * 0.044715)]),
    at.emit('Sub', [one, at.emit('Mul', [t, t])]),
  ]);
  return at.emit('Mul', [at.emit('Add', [at.emit('Add', [t, rise]), one]), half]);
}
