import type { GradRule } from './rule.js';

/** Y = A B, elementwise and broadcast: dA = dY B, dB = dY A. */
export const mul: GradRule = {
  opTypes: ['Mul'],
  gradient: (at) =>
    [0, 1].map((i) => {
      if (!at.wants(i)) return undefined;
      const product = at.emit('Mul', [at.dY, at.input(1 - i)]);
      return at.reduceTo(product, at.outputShape(), at.inputShape(i));
    }),
};

/** Y = A / B, elementwise and broadcast: dA = dY / B, dB = -dY Y / B. */
export const div: GradRule = {
  opTypes: ['Div'],
  gradient(at) {
    if (!at.wants(0) && !at.wants(1)) return [];
    const quotient = at.emit('Div', [at.dY, at.input(1)]);
    const reduced = (i: number, gradient: string) => at.reduceTo(gradient, at.outputShape(), at.inputShape(i));
    return [
      at.wants(0) ? reduced(0, quotient) : undefined,
      at.wants(1) ? at.emit('Neg', [reduced(1, at.emit('Mul', [quotient, at.output()]))]) : undefined,
    ];
  },
};
