import type { GradRule } from './rule.js';

/** Y = C ? A : B, broadcast: the gradient goes where the value came from. */
export const where: GradRule = {
  opTypes: ['Where'],
  gradient(at) {
    const [condition, none] = [at.input(0), at.scalar(0)];
    const from = (i: number, a: string, b: string): string | undefined =>
      at.wants(i) ? at.reduceTo(at.emit('Where', [condition, a, b]), at.outputShape(), at.inputShape(i)) : undefined;
    return [undefined, from(1, at.dY, none), from(2, none, at.dY)];
  },
};
