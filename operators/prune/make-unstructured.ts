import { TierbedError } from '../../base/errors.js';
import type { Model } from '../../onnx/model.js';
import type { OperatorContext } from '../operator.js';
import type { TrainSettings } from '../train/types.js';
import { zeroFacts } from './facts.js';
import { leftOut } from './left-out.js';
import type { PrunePlan } from './options.js';
import type { Pruned } from './pruned.js';
import { refuseFrozen } from './refusals.js';
import { Unstructured } from './unstructured.js';
import { layerWeights } from './weights.js';
import { pruneAtOnce, pruneGradually } from './with-training.js';

/**
 * A model with weights set to zero.
 *
 * @param excluded patterns that the user gave
 * @throws TierbedError `invalid` when it has no weights to prune; as `train`
 */
export async function makeUnstructured(
  model: Model,
  plan: Extract<PrunePlan, { kind: 'unstructured' }>,
  settings: TrainSettings | undefined,
  excluded: readonly string[],
  name: string,
  context: OperatorContext,
): Promise<Pruned> {
  const all = layerWeights(model);
  const left = leftOut(
    all.map((weight) => weight.name),
    plan.exclude,
    excluded,
  );
  const chosen = all.filter((weight) => !left.has(weight.name));
  if (chosen.length === 0) {
    throw new TierbedError('invalid', `${name} has no float32 weights of convolutions or linear layers to prune`, {
      fix: all.length > 0 ? 'Exclude less.' : 'Export the model with its weights as float32 constants.',
    });
  }
  if (settings) refuseFrozen(new Set(chosen.map((weight) => weight.name)), settings);
  const method = new Unstructured(chosen, plan);
  const pruned = settings
    ? await pruneGradually(model, method, plan, settings, context)
    : pruneAtOnce(model, method, plan, new Set(chosen.map((weight) => weight.name)));
  const zeros = zeroFacts(pruned.model, chosen);
  return {
    model: pruned.model,
    zeros: zeros.reached,
    facts: {
      ...{ pattern: plan.patternText, ...zeros, leftOut: [...left], training: pruned.training },
      ...(pruned.distill && { distill: pruned.distill }),
    },
  };
}
