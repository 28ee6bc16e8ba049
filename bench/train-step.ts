// A step of training without a workload: what bench:train measures on our side.
import { trainableWeights } from '../onnx/grad/trainable.js';
import { type TrainingGraph, trainingGraph } from '../onnx/grad/training-graph.js';
import { initializerTensor } from '../onnx/initializer.js';
import type { Model } from '../onnx/model.js';
import { type DenseTensor, float32Values, type NamedTensor } from '../onnx/tensor.js';
import { optimizer, type UpdateOptions } from '../operators/train/optimizers/index.js';
import { resolveSettings } from '../operators/train/settings.js';
import { TrainingStep } from '../operators/train/step.js';
import type { OptimizerSpec } from '../operators/train/types.js';

export interface ClassifierOptions {
  readonly batch: number;
  readonly classes: number;
  readonly dims: Readonly<Record<string, number>>;
}

/** The training graph of a classifier with the cross-entropy loss over `targets`. */
export function classifierGraph(model: Model, { batch, classes, dims }: ClassifierOptions): Promise<TrainingGraph> {
  return trainingGraph(model, {
    ...{ batch, dims, weights: trainableWeights(model), batchNorm: 'batch' },
    loss({ builder: g }) {
      const targets = g.input('targets', 'float32', [batch, classes]);
      const likelihood = g.node('LogSoftmax', ['logits'], { axis: -1 });
      const sum = g.node('ReduceSum', [g.node('Mul', [targets, likelihood])], { keepdims: 0 });
      return g.node('Mul', [sum, g.float32(-1 / batch)], {}, 'loss');
    },
  });
}

/** A network in training: `step` does one step and gives the loss. */
export interface Trainee {
  step(inputs: readonly NamedTensor[]): Promise<number>;
  close(): Promise<void>;
}

/** The arrays of a model's weights and running statistics. */
export function weightArrays(model: Model, graph: TrainingGraph): Map<string, Float32Array> {
  const names = new Set([
    ...trainableWeights(model),
    ...graph.statistics.flatMap((each) => [each.mean, each.variance]),
  ]);
  return new Map(
    model.graph.initializers
      .filter(({ name }) => names.has(name))
      .map((each) => [each.name, float32Values(initializerTensor(each) as DenseTensor).slice()]),
  );
}

/** Opens a classifier for steps of training, as the trainer does them. */
export async function openTrainee(
  graph: TrainingGraph,
  arrays: ReadonlyMap<string, Float32Array>,
  spec: OptimizerSpec,
  threads: number,
): Promise<Trainee> {
  const settings = resolveSettings({ optimizer: spec }).optimizer;
  const { slots, update } = optimizer(settings);
  const inputs = new Set(graph.model.graph.inputs.map(({ name }) => name));
  const weights = new Map([...arrays].filter(([name]) => inputs.has(name)));
  const running = await TrainingStep.open({ graph, arrays: weights, threads });
  const kept = new Map(
    [...running.gradients.keys()].map((name) => {
      const { length } = arrays.get(name) as Float32Array;
      return [name, Array.from({ length: slots }, () => new Float32Array(length))];
    }),
  );
  let step = 0;
  return {
    async step(given) {
      const loss = await running.run(given);
      const options: UpdateOptions = { rate: settings.rate, decay: settings.weightDecay, scale: 1, step: step++ };
      for (const [name, gradient] of running.gradients) {
        update(arrays.get(name) as Float32Array, gradient, kept.get(name) as Float32Array[], options);
      }
      running.updateStatistics(arrays);
      return loss;
    },
    close: () => running.close(),
  };
}
