import { TierbedError } from '../../base/errors.js';
import { trainableWeights } from '../../onnx/grad/trainable.js';
import type { Model } from '../../onnx/model.js';
import { fitting } from './name-patterns.js';

/**
 * The weights that are trained: those named, or all that can be, without the frozen ones.
 *
 * @throws TierbedError `invalid` when a pattern fits none, and when none is left
 */
export function chosenWeights(
  model: Model,
  named: readonly string[] | undefined,
  freeze: readonly string[],
): readonly string[] {
  const weights = named ?? trainableWeights(model);
  if (weights.length === 0) {
    throw new TierbedError('invalid', 'there is nothing to train: the model has no float32 weights', {
      fix: 'Train before the weights are made smaller (sptq, fp16...), and export them as initializers.',
    });
  }
  const frozen = fitting(weights, freeze, 'freeze');
  const left = weights.filter((name) => !frozen.has(name));
  if (left.length > 0) return left;
  throw new TierbedError('invalid', 'there is nothing to train: `freeze` names every weight', { fix: 'Freeze less.' });
}
