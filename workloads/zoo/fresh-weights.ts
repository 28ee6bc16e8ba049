import { Random } from '../../base/random.js';
import { elementCount } from '../../onnx/tensor.js';
import type { Start, Weights } from './network.js';

/** Weights as training begins with them: each parameter has its own stream, drawn from the seed and its name. */
export function freshWeights(seed: number): Weights {
  const root = new Random(seed);
  return ({ name, shape, start }) => {
    return () => drawn(root.fork(name), new Float32Array(elementCount(shape)), start);
  };
}

function drawn(random: Random, values: Float32Array, start: Start): Float32Array {
  if (start.kind === 'constant') return values.fill(start.value);
  if (start.kind === 'uniform') return random.fillUniform(values, -start.bound, start.bound);
  random.fillNormal(values, 0, start.deviation);
  if (!start.truncated) return values;
  for (let i = 0; i < values.length; i++) {
    while (Math.abs(values[i] as number) > 2 * start.deviation) values[i] = random.normal(0, start.deviation);
  }
  return values;
}
