import type { GraphBuilder, Value } from '../../../onnx/build.js';

/**
 * The divergence of the student's softened probabilities from the teacher's, KL(teacher || student) at a temperature T,
 * times T squared so that its gradients stay of the size of those of the labels, mean over rows (Hinton, Vinyals and Dean,
 * 2015, arXiv:1503.02531).
 *
 * @param scores the student's, float32 [rows, classes]
 * @param teacher the teacher's, of the same shape
 */
export function softenedDivergence(
  g: GraphBuilder,
  scores: Value,
  teacher: Value,
  { rows, temperature }: { readonly rows: number; readonly temperature: number },
): Value {
  const soften = (x: Value): Value => (temperature === 1 ? x : g.node('Mul', [x, g.float32(1 / temperature)]));
  const softTeacher = soften(teacher);
  const own = g.node('LogSoftmax', [soften(scores)], { axis: -1 });
  const its = g.node('LogSoftmax', [softTeacher], { axis: -1 });
  const shares = g.node('Softmax', [softTeacher], { axis: -1 });
  const each = g.node('Mul', [shares, g.node('Sub', [its, own])]);
  const sum = g.node('ReduceSum', [each, g.int64([0, 1])], { keepdims: 0 });
  return g.node('Mul', [sum, g.float32(temperature ** 2 / rows)]);
}
