import { floatAttr, intAttr } from '../attribute.js';
import { float, type Value } from '../build.js';
import type { GradNode } from './grad-node.js';
import type { GradRule } from './rule.js';

/** Y = alpha A' B' + beta C, where ' may be a transposition: products of dY and the other matrix, and dY itself for C. */
export const gemm: GradRule = {
  opTypes: ['Gemm'],
  gradient: (at) => [
    at.wants(0) ? left(at) : undefined,
    at.wants(1) ? right(at) : undefined,
    at.wants(2) ? offset(at) : undefined,
  ],
};

function left(at: GradNode): Value {
  const { transA, transB, alpha } = form(at);
  return transA
    ? at.emit('Gemm', [at.input(1), at.dY], { transA: transB, transB: 1, alpha })
    : at.emit('Gemm', [at.dY, at.input(1)], { transB: 1 - transB, alpha });
}

function right(at: GradNode): Value {
  const { transA, transB, alpha } = form(at);
  return transB
    ? at.emit('Gemm', [at.dY, at.input(0)], { transA: 1, transB: transA, alpha })
    : at.emit('Gemm', [at.input(0), at.dY], { transA: 1 - transA, alpha });
}

function offset(at: GradNode): Value {
  const sum = at.reduceTo(at.dY, at.outputShape(), at.inputShape(2));
  const beta = floatAttr(at.node, 'beta') ?? 1;
  return beta === 1 ? sum : at.emit('Mul', [sum, at.scalar(beta)]);
}

function form({ node }: GradNode) {
  return {
    transA: intAttr(node, 'transA') ?? 0,
    transB: intAttr(node, 'transB') ?? 0,
    alpha: float(floatAttr(node, 'alpha') ?? 1),
  };
}
