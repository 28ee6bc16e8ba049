import type { GradRule } from './rule.js';

/** Y = X where X > 0, S X elsewhere, S broadcast: dX = dY or dY S, dS = dY X where X < 0. */
export const prelu: GradRule = {
  opTypes: ['PRelu'],
  gradient(at) {
    const [x, slope, zero] = [at.input(0), at.input(1), at.scalar(0)];
    const byInput = () =>
      at.emit('Mul', [at.dY, at.emit('Where', [at.emit('Greater', [x, zero]), at.scalar(1), slope])]);
    const bySlope = () =>
      at.reduceTo(at.emit('Mul', [at.dY, at.emit('Min', [x, zero])]), at.outputShape(), at.inputShape(1));
    return [at.wants(0) ? byInput() : undefined, at.wants(1) ? bySlope() : undefined];
  },
};
