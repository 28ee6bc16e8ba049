import { trainableWeights } from '../../onnx/grad/trainable.js';
import type { Model } from '../../onnx/model.js';
import type { OperatorContext } from '../operator.js';
import { defaultObjective } from '../train/default-objective.js';
import { keepZeros } from '../train/keep-zeros.js';
import { train } from '../train/train.js';
import type { TrainResult } from '../train/types.js';
import { follow } from './follow.js';
import { type QatOptions, trainSettings } from './options.js';
import { settled } from './settle.js';
import { factorsOf } from './simulation.js';
import type { Start } from './start.js';

/**
 * Trains a simulation: the float model's weights, and what is learned of ranges.
 *
 * @param pruned whether zeros of the weights are there to stay
 * @throws TierbedError as `train`
 */
export async function learn(
  { model, plan, simulation }: Start,
  given: QatOptions,
  pruned: boolean,
  { workload, threads, progress, signal, workDir }: OperatorContext,
): Promise<TrainResult> {
  const { activations = 'uint8', reduceRange = false, momentum = 0.99 } = given;
  const factors = factorsOf(simulation);
  const settings = trainSettings(given.train, factors);
  const weights = trainableWeights(model);
  const zeros = pruned ? [keepZeros(model, matricesOf(model, weights))] : [];
  const trained = await train({
    ...{ model: simulation.model, workload, settings, threads, progress, signal, folder: workDir },
    objective: defaultObjective(workload, settings),
    plugins: [...zeros, follow(simulation, plan.view, { activations, reduceRange, momentum })],
    weights: [...weights, ...factors],
    batchNorm: 'frozen',
  });
  return { ...trained, model: settled(trained.model, simulation.tables, reduceRange) };
}

/** Pruning takes no biases out: those that are 0 may change. */
function matricesOf({ graph }: Model, weights: readonly string[]): string[] {
  const ranks = new Map(graph.initializers.map(({ name, dims }) => [name, dims.length]));
  return weights.filter((name) => (ranks.get(name) ?? 0) > 1);
}
