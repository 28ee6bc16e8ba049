import { TierbedError } from '../../base/errors.js';
import type { Workload } from '../../workloads/types.js';
import { crossEntropy } from './cross-entropy.js';
import { meanSquaredError } from './mean-squared-error.js';
import type { Objective, TrainSettings } from './types.js';

/**
 * What a workload's labels ask to be minimised: cross-entropy for classes, the mean squared error for numbers.
 *
 * @throws TierbedError `invalid` for a workload whose answers are neither
 */
export function defaultObjective(workload: Workload, { labelSmoothing }: TrainSettings): Objective {
  const { kind } = workload.postprocess;
  if (kind === 'numbers') return meanSquaredError(workload);
  if (kind === 'digest') {
    throw new TierbedError('invalid', `${workload.name} has no answers to train for: its postprocessing is 'digest'`, {
      fix: 'Give the workload labels and `postprocess: { kind: argmax, output: NAME }`, or `kind: numbers`.',
    });
  }
  return crossEntropy(workload, { ...(labelSmoothing !== undefined && { labelSmoothing }) });
}
