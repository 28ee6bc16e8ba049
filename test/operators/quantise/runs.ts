import type { Model } from '../../../onnx/model.js';
import { openModel } from '../../../onnx/runtime/session.js';
import { type DenseTensor, float32Values } from '../../../onnx/tensor.js';

/** The first output of a model for each item. */
export async function outputs(
  model: string | Model,
  input: string,
  items: readonly DenseTensor[],
  graphOptimization = true,
): Promise<Float32Array[]> {
  const session = await openModel(model, { threads: 1, graphOptimization });
  const results: Float32Array[] = [];
  for (const tensor of items) {
    const [first] = await session.run([{ name: input, tensor }]);
    results.push(float32Values(first?.tensor as DenseTensor).slice());
  }
  await session.close();
  return results;
}

/** How far `found` is from `expected`: the root mean square of the difference, as a share of that of `expected`. */
export function noise(expected: readonly Float32Array[], found: readonly Float32Array[]): number {
  let [signal, error] = [0, 0];
  expected.forEach((values, i) => {
    values.forEach((value, j) => {
      signal += value ** 2;
      error += (value - (found[i]?.[j] as number)) ** 2;
    });
  });
  return Math.sqrt(error / signal);
}
