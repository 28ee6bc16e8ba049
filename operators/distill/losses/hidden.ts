import type { Value } from '../../../onnx/build.js';
import type { LossContext } from '../../../onnx/grad/training-graph.js';
import type { Projection } from '../terms.js';

/**
 * The mean squared difference of a student's tensor from its teacher's. Where the widths differ, a learned linear map of
 * the student's comes first: over the last axis of [N, D] and [N, T, D] (TinyBERT, arXiv:1909.10351), over the channels of
 * [N, C, H, W] (the regressor of FitNets, Romero et al., ICLR 2015, arXiv:1412.6550).
 *
 * @param teacher of the student's shape but for the width
 * @param mask int64 [N, T], 1 where a token counts: padding is not compared
 */
export function hiddenDifference(
  at: LossContext,
  student: Value,
  teacher: Value,
  projection: Projection | undefined,
  mask: Value | undefined,
): Value {
  const { builder: g } = at;
  const shape = at.shapeOf(student);
  const own = projection ? projected(at, student, projection, shape.length) : student;
  const difference = g.node('Sub', [own, teacher]);
  const squares = g.node('Mul', [difference, difference]);
  const axes = g.int64(shape.map((_, axis) => axis));
  if (mask === undefined || shape.length !== 3) return g.node('ReduceMean', [squares, axes], { keepdims: 0 });
  const width = projection?.to ?? (shape[2] as number);
  const counts = g.node('Cast', [g.node('Unsqueeze', [mask, g.int64([2])])], { to: 1 });
  const sum = g.node('ReduceSum', [g.node('Mul', [squares, counts]), axes], { keepdims: 0 });
  const tokens = g.node('ReduceSum', [counts, axes], { keepdims: 0 });
  return g.node('Div', [sum, g.node('Mul', [tokens, g.float32(width)])]);
}

function projected({ builder: g }: LossContext, x: Value, { name }: Projection, rank: number): Value {
  return rank === 4 ? g.node('Conv', [x, name], { kernel_shape: [1, 1] }) : g.node('MatMul', [x, name]);
}
