import type { Value } from '../../../onnx/build.js';
import type { LossContext } from '../../../onnx/grad/training-graph.js';

/** The mean squared difference of a model's numbers from those that they should be, of the same shape. */
export function squaredError(at: LossContext, numbers: Value, wanted: Value): Value {
  const { builder: g } = at;
  const difference = g.node('Sub', [numbers, wanted]);
  const axes = g.int64(at.shapeOf(numbers).map((_, axis) => axis));
  return g.node('ReduceMean', [g.node('Mul', [difference, difference]), axes], { keepdims: 0 });
}
