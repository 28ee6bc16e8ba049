import { float32Tensor } from '../../onnx/tensor.js';
import { partOf } from '../../workloads/prepared.js';
import type { Workload, WorkloadPart } from '../../workloads/types.js';
import { classesOf, classification, refuseOutOfRange } from './classes.js';
import { scoresOf } from './scores.js';
import type { BatchItem, Objective } from './types.js';

export interface CrossEntropyOptions {
  /** The share of each target that all classes have alike, 0 to below 1 (Szegedy et al., arXiv:1512.00567); 0 unless told. */
  readonly labelSmoothing?: number;
  /** Name of the scores; the workload's output unless told. */
  readonly output?: string;
}

/** The input of the training graph that has the targets: float32 [batch, classes], rows that sum to 1. */
export const TARGETS = 'tierbed.targets';

/**
 * Cross-entropy of the labels of the workload's training part: -sum(targets * LogSoftmax(scores)) / batch.
 *
 * @throws TierbedError `invalid` for a workload that is no classification, or a label that is no class, by its item
 */
export function crossEntropy(workload: Workload, options: CrossEntropyOptions = {}): Objective {
  const spec = classification(workload);
  const { labelSmoothing = 0, output = spec.output } = options;
  const classes = classesOf(partOf(workload, 'training' as WorkloadPart), spec);
  let count = 0;
  return {
    name: 'cross-entropy',
    identity: JSON.stringify({ labelSmoothing, output }),
    loss(at) {
      const scores = scoresOf(at, output);
      const { builder, batch } = at;
      count = scores.classes;
      refuseOutOfRange(classes, count, output);
      const targets = builder.input(TARGETS, 'float32', [batch, count]);
      const logarithms = scores.logarithms ? scores.value : builder.node('LogSoftmax', [scores.value], { axis: -1 });
      const sum = builder.node('ReduceSum', [builder.node('Mul', [targets, logarithms])], { keepdims: 0 });
      return builder.node('Mul', [sum, builder.float32(-1 / batch)], {}, 'tierbed.loss');
    },
    async feeds({ items }) {
      const rows = smoothTargets(items, (id) => classes.get(id) as number, count, labelSmoothing);
      return [{ name: TARGETS, tensor: float32Tensor([items.length, count], rows) }];
    },
  };
}

/** Targets [items, count]: all on an item's class, less a share that is spread over all classes. */
export function smoothTargets(
  items: readonly BatchItem[],
  classOf: (id: string) => number,
  count: number,
  smoothing: number,
): Float32Array {
  const rows = new Float32Array(items.length * count).fill(smoothing / count);
  for (const [i, { id }] of items.entries()) rows[i * count + classOf(id)] = 1 - smoothing + smoothing / count;
  return rows;
}
