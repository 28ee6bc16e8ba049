import { isPositive } from './is-positive.js';
import type { GradRule } from './rule.js';

/** Y = max(X, 0): dX = dY where Y > 0; 0 at 0, as PyTorch has it. */
export const relu: GradRule = {
  opTypes: ['Relu'],
  gradient: (at) => [at.emit('Mul', [at.dY, isPositive(at, at.output())])],
};
