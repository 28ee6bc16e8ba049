import type { Value } from '../build.js';
import type { GradNode } from './grad-node.js';
import type { GradRule } from './rule.js';

/** Y = A B over the last two axes, the others broadcast: dA = dY B^T, dB = A^T dY, summed where broadcast. */
export const matMul: GradRule = {
  opTypes: ['MatMul'],
  gradient(at) {
    const [a, b] = [at.inputShape(0), at.inputShape(1)];
    if (a.length < 2 || b.length < 2) return vectorGradients(at, a, b);
    return [at.wants(0) ? left(at, a, b) : undefined, at.wants(1) ? right(at, a, b) : undefined];
  },
};

function left(at: GradNode, a: readonly number[], b: readonly number[]): Value {
  if (b.length === 2) {
    // One product over all rows, that reads the matrix as it lies.
    const rows = a.length === 2 ? at.dY : at.reshape(at.dY, [-1, b[1] as number]);
    const product = at.emit('Gemm', [rows, at.input(1)], { transB: 1 });
    return a.length === 2 ? product : at.reshape(product, a);
  }
  const product = at.emit('MatMul', [at.dY, at.transpose(at.input(1), lastTwoSwapped(b.length))]);
  return at.reduceTo(product, [...at.outputShape().slice(0, -1), a.at(-1) as number], a);
}

function right(at: GradNode, a: readonly number[], b: readonly number[]): Value {
  const [k, n] = b.slice(-2) as [number, number];
  if (b.length === 2 && a.length > 2) {
    // One matrix for the whole batch: one product over all rows, not one for each item, to be summed.
    const rows = at.reshape(at.input(0), [-1, k]);
    return at.emit('Gemm', [rows, at.reshape(at.dY, [-1, n])], { transA: 1 });
  }
  const product = at.emit('MatMul', [at.transpose(at.input(0), lastTwoSwapped(a.length)), at.dY]);
  return at.reduceTo(product, [...at.outputShape().slice(0, -2), k, n], b);
}

/** A vector is a row on the left and a column on the right, without that axis in Y. */
function vectorGradients(at: GradNode, a: readonly number[], b: readonly number[]): (Value | undefined)[] {
  const full = { a: a.length === 1 ? [1, ...a] : a, b: b.length === 1 ? [...b, 1] : b };
  const batch = at.outputShape().slice(0, at.outputShape().length - (a.length > 1 ? 1 : 0) - (b.length > 1 ? 1 : 0));
  const y = [...batch, full.a.at(-2) as number, full.b.at(-1) as number];
  const [A, B, dY] = [at.reshape(at.input(0), full.a), at.reshape(at.input(1), full.b), at.reshape(at.dY, y)];
  const k = full.a.at(-1) as number;
  const dA = (): Value =>
    at.reshape(
      at.reduceTo(
        at.emit('MatMul', [dY, at.transpose(B, lastTwoSwapped(full.b.length))]),
        [...y.slice(0, -1), k],
        full.a,
      ),
      a,
    );
  const dB = (): Value =>
    at.reshape(
      at.reduceTo(
        at.emit('MatMul', [at.transpose(A, lastTwoSwapped(full.a.length)), dY]),
        [...y.slice(0, -2), k, full.b.at(-1) as number],
        full.b,
      ),
      b,
    );
  return [at.wants(0) ? dA() : undefined, at.wants(1) ? dB() : undefined];
}

function lastTwoSwapped(rank: number): number[] {
  const perm = Array.from({ length: rank }, (_, i) => i);
  [perm[rank - 2], perm[rank - 1]] = [rank - 1, rank - 2];
  return perm;
}
