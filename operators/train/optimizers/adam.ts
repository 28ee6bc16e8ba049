import type { Optimizer } from './optimizer.js';

export interface AdamOptions {
  readonly betas: readonly [number, number];
  readonly epsilon: number;
  /** Whether weights decay by themselves (AdamW), or by way of the gradient (Adam). */
  readonly decoupled: boolean;
}

/**
 * Adam (Kingma and Ba, arXiv:1412.6980) and AdamW (Loshchilov and Hutter, arXiv:1711.05101) in PyTorch's form: epsilon is
 * added to the root of the corrected second moment, and AdamW's decay is multiplied by the learning rate. Tables are
 * dense too: a row that a batch did not pick still moves by its moments.
 */
export function adam({ betas: [beta1, beta2], epsilon, decoupled }: AdamOptions): Optimizer {
  return {
    slots: 2,
    update(weight, gradient, [first, second], { rate, decay, scale, step }) {
      const m = first as Float32Array;
      const v = second as Float32Array;
      const stepSize = rate / (1 - beta1 ** (step + 1));
      const root = 1 / Math.sqrt(1 - beta2 ** (step + 1));
      const kept = decoupled ? 1 - rate * decay : 1;
      const coupled = decoupled ? 0 : decay;
      const [rest1, rest2] = [1 - beta1, 1 - beta2];
      for (let i = 0; i < weight.length; i++) {
        const w = weight[i] as number;
        const g = scale * (gradient[i] as number) + coupled * w;
        const mi = beta1 * (m[i] as number) + rest1 * g;
        const vi = beta2 * (v[i] as number) + rest2 * g * g;
        m[i] = mi;
        v[i] = vi;
        weight[i] = kept * w - (stepSize * mi) / (root * Math.sqrt(vi) + epsilon);
      }
    },
  };
}
