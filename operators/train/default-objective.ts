import { TierbedError } from '../../base/errors.js';
import type { Workload } from '../../workloads/types.js';
import { crossEntropy } from './cross-entropy.js';
import { meanSquaredError } from './mean-squared-error.js';
import type { Objective, TrainSettings } from './types.js';

/**
 * What a workload's labels ask to be minimised: cross-entropy for classes, the mean squared error for numbers.
 *
 * @throws TierbedError `invalid` for a workload whose answers are neither, and for settings that its loss has no use of
 */
export function defaultObjective(workload: Workload, { labelSmoothing }: TrainSettings): Objective {
  const { kind } = workload.postprocess;
  if (kind === 'numbers') {
    if (labelSmoothing) {
      throw new TierbedError(
        'invalid',
        `labelSmoothing spreads the targets of classes, and ${workload.name} has numbers, whose loss is the mean squared error`,
        { fix: 'Leave `labelSmoothing` out, or set it to 0 where a preset has it.' },
      );
    }
    return meanSquaredError(workload);
  }
  if (kind === 'digest') {
    throw new TierbedError('invalid', `${workload.name} has no answers to train for: its postprocessing is 'digest'`, {
      fix: 'Give the workload labels and `postprocess: { kind: argmax, output: NAME }`, or `kind: numbers`.',
    });
  }
  return crossEntropy(workload, { ...(labelSmoothing !== undefined && { labelSmoothing }) });
}
