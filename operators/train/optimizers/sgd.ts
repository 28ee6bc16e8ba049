import type { Optimizer } from './optimizer.js';

/**
 * Stochastic gradient descent with momentum in PyTorch's form, without dampening: g += decay * w; v = momentum * v + g;
 * w -= rate * v, or with Nesterov's momentum w -= rate * (g + momentum * v) (Sutskever et al., ICML 2013).
 */
export function sgd({ momentum, nesterov }: { readonly momentum: number; readonly nesterov: boolean }): Optimizer {
  if (momentum === 0) {
    return {
      slots: 0,
      update(weight, gradient, _, { rate, decay, scale }) {
        for (let i = 0; i < weight.length; i++) {
          const w = weight[i] as number;
          weight[i] = w - rate * (scale * (gradient[i] as number) + decay * w);
        }
      },
    };
  }
  return {
    slots: 1,
    update(weight, gradient, [slot], { rate, decay, scale }) {
      const velocity = slot as Float32Array;
      const own = nesterov ? 1 : 0;
      const carried = nesterov ? momentum : 1;
      for (let i = 0; i < weight.length; i++) {
        const w = weight[i] as number;
        const g = scale * (gradient[i] as number) + decay * w;
        const v = momentum * (velocity[i] as number) + g;
        velocity[i] = v;
        weight[i] = w - rate * (own * g + carried * v);
      }
    },
  };
}
