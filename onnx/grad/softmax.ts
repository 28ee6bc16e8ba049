import { intAttr } from '../attribute.js';
import type { Value } from '../build.js';
import type { GradNode } from './grad-node.js';
import type { GradRule } from './rule.js';

/** Y = exp X / sum(exp X) along an axis: dX = Y (dY - sum(dY Y)). */
export const softmax: GradRule = {
  opTypes: ['Softmax'],
  gradient(at) {
    const y = at.output();
    const total = at.sum(at.emit('Mul', [at.dY, y]), [axisOf(at)], true);
    return [at.emit('Mul', [y, at.emit('Sub', [at.dY, total])])];
  },
};

/** Y = X - log sum(exp X) along an axis. */
export const logSoftmax: GradRule = {
  opTypes: ['LogSoftmax'],
  gradient: (at) => [logSoftmaxGradient(at, at.dY, at.emit('Exp', [at.output()]), axisOf(at))],
};

/** dX = dY - softmax X * sum(dY) along an axis. */
export function logSoftmaxGradient(at: GradNode, dY: Value, probabilities: Value, axis: number): Value {
  return at.emit('Sub', [dY, at.emit('Mul', [probabilities, at.sum(dY, [axis], true)])]);
}

function axisOf(at: GradNode): number {
  return intAttr(at.node, 'axis') ?? -1;
}
