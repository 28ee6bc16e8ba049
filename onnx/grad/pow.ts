import type { Value } from '../build.js';
import { DATA_TYPE } from '../model.js';
import type { GradNode } from './grad-node.js';
import type { GradRule } from './rule.js';

/** Y = A ^ B, elementwise and broadcast: dA = dY B A^(B - 1), dB = dY Y ln A; both 0 where that has no value at A = 0. */
export const pow: GradRule = {
  opTypes: ['Pow'],
  gradient: (at) => [at.wants(0) ? byBase(at) : undefined, at.wants(1) ? byExponent(at) : undefined],
};

function byBase(at: GradNode): Value {
  const exponent = asFloat(at, 1);
  const lower = at.emit('Pow', [at.input(0), at.emit('Sub', [exponent, at.scalar(1)])]);
  const slope = at.emit('Mul', [exponent, lower]);
  // 0 * 0^-1 is no number: what is raised to 0 is 1 everywhere.
  const isZero = at.emit('Equal', [exponent, at.scalar(0)]);
  const known = at.emit('Where', [isZero, at.scalar(0), slope]);
  return at.reduceTo(at.emit('Mul', [at.dY, known]), at.outputShape(), at.inputShape(0));
}

function byExponent(at: GradNode): Value {
  const base = at.input(0);
  const isZero = at.emit('Equal', [base, at.scalar(0)]);
  const logarithm = at.emit('Log', [at.emit('Where', [isZero, at.scalar(1), base])]);
  const slope = at.emit('Mul', [at.output(), logarithm]);
  return at.reduceTo(at.emit('Mul', [at.dY, slope]), at.outputShape(), at.inputShape(1));
}

/** Exponents may be whole numbers. */
function asFloat(at: GradNode, i: number): Value {
  const tensor = at.input(i);
  return at.dataType(tensor) === DATA_TYPE.float32 ? tensor : at.emit('Cast', [tensor], { to: DATA_TYPE.float32 });
}
