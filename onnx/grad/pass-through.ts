import type { GradNode } from './grad-node.js';
import type { GradRule } from './rule.js';

/** Y = X. Casts among other types carry no gradient. */
export const passThrough: GradRule = {
  opTypes: ['Identity', 'Cast'],
  gradient: (at) => [at.dY],
};

/** Dropout as it is in inference: Y = X. */
export const dropout: GradRule = {
  opTypes: ['Dropout'],
  gradient(at) {
    if (at.has(2) && isTrue(at)) throw at.error('it draws random numbers', 'Take the model in its form for inference.');
    return [at.dY];
  },
};

function isTrue(at: GradNode): boolean {
  return at.constant(2).data.some((byte) => byte !== 0);
}

/** Steps: their derivative is 0 wherever they have one, so nothing goes on from them. */
export const steps: GradRule = {
  opTypes: ['Floor', 'Ceil', 'Round', 'Sign'],
  gradient: () => [],
};
