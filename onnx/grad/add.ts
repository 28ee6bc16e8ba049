import type { Value } from '../build.js';
import type { GradNode } from './grad-node.js';
import type { GradRule } from './rule.js';

/** Y = A + B + ..., broadcast: the gradient goes to all. */
export const add: GradRule = {
  opTypes: ['Add', 'Sum'],
  gradient: (at) => at.node.inputs.map((_, i) => share(at, i, at.dY)),
};

/** Y = A - B, broadcast. */
export const sub: GradRule = {
  opTypes: ['Sub'],
  gradient(at) {
    const right = share(at, 1, at.dY);
    return [share(at, 0, at.dY), right === undefined ? undefined : at.emit('Neg', [right])];
  },
};

/** Y = (A + B + ...) / n, broadcast. */
export const mean: GradRule = {
  opTypes: ['Mean'],
  gradient(at) {
    const part = at.emit('Mul', [at.dY, at.scalar(1 / at.node.inputs.length)]);
    return at.node.inputs.map((_, i) => share(at, i, part));
  },
};

function share(at: GradNode, i: number, gradient: Value): Value | undefined {
  return at.wants(i) ? at.reduceTo(gradient, at.outputShape(), at.inputShape(i)) : undefined;
}
