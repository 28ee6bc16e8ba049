import { isPositive } from './is-positive.js';
import type { GradRule } from './rule.js';

/** Y = X where X > 0, S X elsewhere, S broadcast: dX = dY or dY S, dS = dY X where X < 0. */
export const prelu: GradRule = {
  opTypes: ['PRelu'],
  gradient(at) {
    const [x, slope] = [at.input(0), at.input(1)];
    const byInput = () => {
      const above = at.emit('Mul', [isPositive(at, x), at.emit('Sub', [at.scalar(1), slope])]);
      return at.emit('Mul', [at.dY, at.emit('Add', [above, slope])]);
    };
    const bySlope = () =>
      at.reduceTo(at.emit('Mul', [at.dY, at.emit('Min', [x, at.scalar(0)])]), at.outputShape(), at.inputShape(1));
    return [at.wants(0) ? byInput() : undefined, at.wants(1) ? bySlope() : undefined];
  },
};
