import { GraphBuilder } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';
import { float32Values, type NamedTensor } from '../../../onnx/tensor.js';
import type { Range } from '../range.js';
import { notFinite } from './not-finite.js';
import { observedPart } from './observed-part.js';
import { type Pass, type PassedItems, runItems } from './run-items.js';

/** Numbers that the model gives of each tensor: its least value, its greatest, and its sum. */
const PER_TENSOR = 3;

/**
 * The least and the greatest value of tensors over all items, found inside the model: three numbers a tensor leave the
 * runtime, and memory does not grow with the items.
 *
 * @throws TierbedError `invalid` when a value is NaN or infinite, naming tensor and item; as `runItems`
 */
export async function gatherExtremes(
  model: Model,
  tensors: readonly string[],
  pass: Pass,
): Promise<{ ranges: Map<string, Range>; items: PassedItems }> {
  const least = new Float32Array(tensors.length).fill(Number.POSITIVE_INFINITY);
  const greatest = new Float32Array(tensors.length).fill(Number.NEGATIVE_INFINITY);
  const items = await runItems(withExtremes(model, tensors), pass, '', (item, [output]) => {
    const values = float32Values((output as NamedTensor).tensor);
    for (const [i, tensor] of tensors.entries()) {
      const min = values[i * PER_TENSOR] as number;
      const max = values[i * PER_TENSOR + 1] as number;
      const sum = values[i * PER_TENSOR + 2] as number;
      // Comparisons of a NaN are false, and the runtime's minimum may pass over one: the sum never does.
      if (!(Number.isFinite(min) && Number.isFinite(max)) || Number.isNaN(sum)) throw notFinite(tensor, item);
      if (min < (least[i] as number)) least[i] = min;
      if (max > (greatest[i] as number)) greatest[i] = max;
    }
  });
  const ranges = tensors.map((name, i) => [name, { min: least[i] as number, max: greatest[i] as number }] as const);
  return { ranges: new Map(ranges), items };
}

/** The model with one output, [1, 3 tensors]: of each tensor in turn its least value, its greatest, and its sum. */
export function withExtremes(model: Model, tensors: readonly string[]): Model {
  const g = GraphBuilder.from(observedPart(model, tensors));
  // Flattened before axis 0, any tensor is one row. The nodes' meaning is the same in every opset: no axes are all axes.
  const numbers = tensors.flatMap((tensor) => {
    const row = g.node('Flatten', [tensor], { axis: 0 });
    return ['ReduceMin', 'ReduceMax', 'ReduceSum'].map((op) => g.node(op, [row], { keepdims: 1 }));
  });
  g.output(g.node('Concat', numbers, { axis: 1 }), 'float32', [1, numbers.length]);
  return g.build();
}
