import type { GradRule } from './rule.js';

/**
 * Y = round(X): the gradient passes straight through (Bengio et al. 2013, arXiv:1308.3432). The true one is 0 nearly
 * everywhere, and nothing before a rounding would ever learn.
 */
export const round: GradRule = {
  opTypes: ['Round'],
  gradient: (at) => [at.dY],
};
