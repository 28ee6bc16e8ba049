import type { Value } from '../../../onnx/build.js';
import type { LossContext } from '../../../onnx/grad/training-graph.js';

export interface AttentionPair {
  /** The student's probabilities, float32 [N, heads, T, T], over the last axis. */
  readonly shares: Value;
  /** What the Softmax that makes them takes; undefined where that is not known. */
  readonly scores: Value | undefined;
  /** The teacher's probabilities. */
  readonly teacher: Value;
  readonly heads: { readonly student: number; readonly teacher: number };
}

/** Probabilities below this count as this when their logarithm is taken. */
const SMALLEST = 1e-12;

/**
 * How far a student's attention is from its teacher's: KL(teacher || student) of where each token looks, or the mean
 * squared difference (TinyBERT, arXiv:1909.10351, compares scores; probabilities are the same where tokens are masked).
 * Mean over tokens and heads; where the numbers of heads differ, over the mean of the heads.
 *
 * @param mask int64 [N, T], 1 where a token counts: what padding looks at is not compared
 */
export function attentionDifference(
  at: LossContext,
  pair: AttentionPair,
  loss: 'kl' | 'mse',
  mask: Value | undefined,
): Value {
  const { builder: g } = at;
  const [batch = 1, , tokens = 1, keys = 1] = at.shapeOf(pair.shares);
  const merged = pair.heads.student !== pair.heads.teacher;
  const heads = merged ? 1 : pair.heads.student;
  const mean = (x: Value): Value => (merged ? g.node('ReduceMean', [x, g.int64([1])], { keepdims: 1 }) : x);
  const [own, its] = [mean(pair.shares), mean(pair.teacher)];
  const each = loss === 'mse' ? squares(at, own, its) : divergence(at, own, merged ? undefined : pair.scores, its);
  // Per query: KL is a sum over the keys, the squared difference a mean.
  const reduce = loss === 'mse' ? 'ReduceMean' : 'ReduceSum';
  const perToken = g.node(reduce, [each, g.int64([3])], { keepdims: 0 });
  const axes = g.int64([0, 1, 2]);
  if (mask === undefined || tokens !== keys) {
    const sum = g.node('ReduceSum', [perToken, axes], { keepdims: 0 });
    return g.node('Mul', [sum, g.float32(1 / (batch * heads * tokens))]);
  }
  const counts = g.node('Cast', [g.node('Unsqueeze', [mask, g.int64([1])])], { to: 1 });
  const sum = g.node('ReduceSum', [g.node('Mul', [perToken, counts]), axes], { keepdims: 0 });
  const counted = g.node('ReduceSum', [counts, axes], { keepdims: 0 });
  return g.node('Div', [sum, g.node('Mul', [counted, g.float32(heads)])]);
}

function squares({ builder: g }: LossContext, own: Value, its: Value): Value {
  const difference = g.node('Sub', [own, its]);
  return g.node('Mul', [difference, difference]);
}

function divergence({ builder: g }: LossContext, own: Value, scores: Value | undefined, its: Value): Value {
  const smallest = g.float32(SMALLEST);
  const logOwn =
    scores === undefined
      ? g.node('Log', [g.node('Add', [own, smallest])])
      : g.node('LogSoftmax', [scores], { axis: -1 });
  const logIts = g.node('Log', [g.node('Max', [its, smallest])]);
  return g.node('Mul', [its, g.node('Sub', [logIts, logOwn])]);
}
