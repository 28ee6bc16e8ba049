// A step of training without a workload: what bench:train measures on our side.
import { initializerElements, initializerTensor } from '../onnx/initializer.js';
import type { Model } from '../onnx/model.js';
import { type TrainingGraph, trainingGraph } from '../onnx/grad/training-graph.js';
import { trainableWeights } from '../onnx/grad/trainable.js';

/** The training graph of a classifier with the cross-entropy loss over `targets`. */
export function classifierGraph(
  model: Model,
  batch: number,
  classes: number,
  dims: Readonly<Record<string, number>> = {},
): Promise<TrainingGraph> {
  return trainingGraph(model, {
    ...{ batch, dims, weights: trainableWeights(model), batchNorm: 'batch' },
    loss({ builder: g }) {
      const targets = g.input('targets', 'float32', [batch, classes]);
      const likelihood = g.node('LogSoftmax', ['logits'], { axis: -1 });
      const chosen = g.node('Mul', [targets, likelihood]);
      const sum = g.node('ReduceSum', [chosen], { keepdims: 0 });
      return g.node('Mul', [sum, g.float32(-1 / batch)], {}, 'loss');
    },
  });
}
void [initializerElements, initializerTensor];
