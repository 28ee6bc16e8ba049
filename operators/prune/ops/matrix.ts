import type { PruneRule, PruneRules } from '../rule.js';

/** alpha * A' B' + beta * C, A' [M, K], B' [K, N]. */
const gemm: PruneRule = {
  trace(at) {
    if (at.shape(0)?.length !== 2 || at.shape(1)?.length !== 2) return false;
    const [rows, inner] = at.int('transA', 0) ? [1, 0] : [0, 1];
    const [other, columns] = at.int('transB', 0) ? [1, 0] : [0, 1];
    at.couple([
      [0, inner],
      [1, other],
    ]);
    const out = at.axis(1, columns);
    const items = at.axis(0, rows);
    at.accompany(out, 2, -1);
    if ((at.shape(2)?.length ?? 0) > 1) at.accompany(items, 2, -2);
    at.give([items, out]);
    return true;
  },
};

/** A [..., M, K] B [..., K, N], the axes in front broadcast. */
const matMul: PruneRule = {
  trace(at) {
    const [a, b] = [at.shape(0), at.shape(1)];
    if (!a || !b || a.length < 1 || b.length < 1) return false;
    at.couple([
      [0, -1],
      [1, b.length > 1 ? -2 : -1],
    ]);
    const front = Math.max(a.length, b.length) - 2;
    const labels = [];
    for (let i = 0; i < front; i++) {
      // Counted from the end, past the two axes of the matrices.
      const axis = i - front - 2;
      const among = [a, b].flatMap((shape, input): (readonly [number, number])[] =>
        shape.length >= -axis && shape.length > 2 ? [[input, axis]] : [],
      );
      labels.push(at.couple(among));
    }
    if (a.length > 1) labels.push(at.axis(0, -2));
    if (b.length > 1) labels.push(at.axis(1, -1));
    at.give(labels);
    return true;
  },
};

export const matrixRules: PruneRules = { Gemm: gemm, MatMul: matMul };
