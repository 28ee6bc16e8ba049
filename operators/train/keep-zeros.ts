import { initializerBytes } from '../../onnx/initializer.js';
import { DATA_TYPE, type Model } from '../../onnx/model.js';
import type { StepView, TrainPlugin } from './types.js';

/**
 * Keeps what pruning set to zero at zero while the rest is trained: elements of matrices and kernels that are exactly 0
 * at the start have no gradient, so that they gather no momentum either, and are 0 after every step. Biases and
 * normalisations are not pruned, and a network that begins may have them all at 0.
 *
 * @param weights names of those that are trained
 */
export function keepZeros({ graph }: Model, weights: readonly string[]): TrainPlugin {
  const trained = new Set(weights);
  const zeros = new Map<string, Uint32Array>();
  for (const weight of graph.initializers) {
    if (!trained.has(weight.name) || weight.dataType !== DATA_TYPE.float32 || weight.dims.length < 2) continue;
    const found = zerosOf(new Float32Array(Uint8Array.from(initializerBytes(weight)).buffer));
    if (found.length > 0) zeros.set(weight.name, found);
  }
  const clear = (arrays: ReadonlyMap<string, Float32Array>): void => {
    for (const [name, indexes] of zeros) {
      const values = arrays.get(name);
      if (!values) continue;
      for (const index of indexes) values[index] = 0;
    }
  };
  return {
    name: 'keep-zeros',
    beforeUpdate: ({ gradients }: StepView) => clear(gradients),
    afterUpdate: ({ weights: values }: StepView) => clear(values),
  };
}

function zerosOf(values: Float32Array): Uint32Array {
  const found: number[] = [];
  for (let i = 0; i < values.length; i++) if (values[i] === 0) found.push(i);
  return Uint32Array.from(found);
}
