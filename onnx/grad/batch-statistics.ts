import { TierbedError } from '../../base/errors.js';
import { floatAttr } from '../attribute.js';
import { float, type GraphBuilder } from '../build.js';
import type { Node } from '../model.js';
import { besidesChannels } from './axes.js';

/** Running statistics that a step of training moves towards the batch's. */
export interface RunningStatistics {
  /** Initializers of the model. */
  readonly mean: string;
  readonly variance: string;
  /** Outputs of the training graph: of the batch, the variance without Bessel's correction. */
  readonly batchMean: string;
  readonly batchVariance: string;
  /** running = momentum * running + (1 - momentum) * batch */
  readonly momentum: number;
  /** Elements that a channel's statistics are of. */
  readonly count: number;
}

/** Names of the tensors that `emitBatchNormalization` makes for a node. */
export function batchStatisticsOf({ outputs }: Node) {
  const name = outputs[0] as string;
  return {
    /** [channels] */
    mean: `${name}.batch_mean`,
    variance: `${name}.batch_variance`,
    /** The input without its channels' means. */
    centred: `${name}.centred`,
  };
}

/**
 * Adds a BatchNormalization in its training form (Ioffe and Szegedy, ICML 2015, arXiv:1502.03167): normalised with the
 * statistics of the batch, over all axes but the second. The operator's own training mode is not used: ONNX Runtime lets
 * its outputs share memory with its inputs (onnxruntime issue 29790).
 *
 * @param shape of the node's input
 */
export function emitBatchNormalization(builder: GraphBuilder, node: Node, shape: readonly number[]): RunningStatistics {
  const [x, scale, bias, mean, variance] = node.inputs as readonly [string, string, string, string, string];
  const axes = besidesChannels(shape);
  const count = axes.reduce((product, axis) => product * (shape[axis] as number), 1);
  const name = node.outputs[0] as string;
  if (count < 2) {
    throw new TierbedError('invalid', `node ${node.name || name}: a batch of one element has no variance`, {
      fix: 'Make the batch larger, or freeze the normalisation.',
    });
  }
  const names = batchStatisticsOf(node);
  const over = builder.int64(axes);
  // Every tensor is named after the node: nodes that come later in the model have yet to claim their names.
  const centre = builder.node('ReduceMean', [x, over], { keepdims: 1 }, `${name}.centre`);
  const centred = builder.node('Sub', [x, centre], {}, names.centred);
  // Not ReduceSumSquare, which has no fast kernel.
  const squares = builder.node('Mul', [centred, centred], {}, `${name}.squares`);
  const total = builder.node('ReduceSum', [squares, over], { keepdims: 0 }, `${name}.squares_total`);
  const batchVariance = builder.node('Mul', [total, builder.float32(1 / count)], {}, names.variance);
  const channels = builder.int64([shape[1] as number]);
  const batchMean = builder.node('Reshape', [centre, channels], {}, names.mean);
  const epsilon = float(floatAttr(node, 'epsilon') ?? 1e-5);
  builder.nodeWithOutputs('BatchNormalization', [x, scale, bias, batchMean, batchVariance], [name], { epsilon });
  return { mean, variance, batchMean, batchVariance, momentum: floatAttr(node, 'momentum') ?? 0.9, count };
}
