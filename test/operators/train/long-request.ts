import { crossEntropy } from '../../../operators/train/cross-entropy.js';
import type { TrainPlugin, TrainRequest } from '../../../operators/train/types.js';
import { pointWorkload, toyRequest } from './toy.js';

/** Counts steps in an array that has to come back with a checkpoint, and pulls a weight by it. */
function pulling(): TrainPlugin {
  const count = new Float32Array(1);
  return {
    name: 'pulling',
    state: { count },
    afterUpdate({ weights }) {
      count[0] = (count[0] as number) + 1;
      const bias = weights.get('second.bias') as Float32Array;
      bias[0] = (bias[0] as number) + 1e-3 * Math.sin(count[0] as number);
    },
  };
}

/** Several hundred steps with everything that has a state: moments, augmentation, the best weights, a plugin. */
export function longRequest(folder: string, more: Partial<TrainRequest> = {}): Promise<TrainRequest> {
  const workload = pointWorkload();
  const settings = {
    ...{ epochs: 24, batch: 12, patience: 24, seed: 3, clipNorm: 2 },
    optimizer: { kind: 'adamw', rate: 0.01 },
    augment: [{ kind: 'noise', deviation: 0.1 }],
  } as const;
  const objective = crossEntropy(workload, { labelSmoothing: 0.05 });
  return toyRequest(workload, objective, settings, { folder, plugins: [pulling()], ...more });
}
