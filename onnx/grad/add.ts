import type { GradRule } from './rule.js';

/** Y = A + B, broadcast: the gradient goes to both. */
export const add: GradRule = {
  opTypes: ['Add'],
  gradient: (at) =>
    [0, 1].map((i) => (at.wants(i) ? at.reduceTo(at.dY, at.outputShape(), at.inputShape(i)) : undefined)),
};
