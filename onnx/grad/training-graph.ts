import { TierbedError } from '../../base/errors.js';
import { GraphBuilder, type Value } from '../build.js';
import { inferValues, type TensorType } from '../infer.js';
import { DATA_TYPE, dtypeOf, type Model, type Node } from '../model.js';
import { constantNodes } from '../passes/constant-nodes.js';
import { isOnnxDomain, onnxVersion } from '../passes/walk.js';
import { blockSize } from '../runtime/block-size.js';
import { upgradeOpset } from '../upgrade/index.js';
import { weightsAsInputs } from '../weights-as-inputs.js';
import { emitBatchNormalization, type RunningStatistics } from './batch-statistics.js';
import { blockedForward } from './blocked/forward.js';
import { fuseBlocked } from './blocked/fuse.js';
import { lower } from './blocked/lower.js';
import { differentiate, type Gradient } from './differentiate.js';
import { fuseGelu } from './fuse-gelu.js';
import { withKnownValues } from './known-values.js';
import { bindBatch, staticShapes } from './static-shapes.js';

/** The version of ai.onnx that training graphs have at least: they are run here and shipped nowhere. */
const OPSET = 18;

/** What a loss is built with: the model's tensors, and inputs of its own. */
export interface LossContext {
  readonly builder: GraphBuilder;
  /** Items in a batch. */
  readonly batch: number;
  /** The shape of a tensor of the model. */
  shapeOf(tensor: Value): readonly number[];
}

/** Appends a loss to a model. @returns a float32 tensor of one element */
export type Loss = (at: LossContext) => Value;

export interface TrainingGraphOptions {
  readonly batch: number;
  /** Numbers for symbols of the inputs' shapes other than the batch. */
  readonly dims?: Readonly<Record<string, number>>;
  /** Weights that the loss is differentiated by: float32 initializers. */
  readonly weights: readonly string[];
  /** Initializers that are given anew in each run too, but have no gradient: ranges that are averaged, masks. */
  readonly buffers?: readonly string[];
  /** Whether BatchNormalization takes its batch's statistics, or stays as it is in inference. */
  readonly batchNorm: 'batch' | 'frozen';
  readonly loss: Loss;
  /** Tensors of the model that a run gives besides, such as its outputs. */
  readonly outputs?: readonly string[];
  /** `fastest`, unless told: convolutions on the blocked layout (`blocked/domain.ts`) where this processor has it. */
  readonly layout?: 'fastest' | 'plain';
}

/** A model whose run gives the loss and its gradients. */
export interface TrainingGraph {
  /**
   * Inputs: the model's, the loss's own, and the weights, which are given anew in each run. Outputs: the loss, the
   * gradients (of rows with their indices, where these are no input), the batch's statistics, and what was asked for
   * besides.
   */
  readonly model: Model;
  readonly loss: Value;
  /** By weight; a weight that the loss does not depend on has none. */
  readonly gradients: ReadonlyMap<string, Gradient>;
  readonly statistics: readonly RunningStatistics[];
}

/**
 * Makes the graph of one training step out of a model: forward pass, loss and backward pass, in operators that stock ONNX
 * Runtime has for inference. The graph is for one size of batch.
 *
 * @throws TierbedError `invalid` for a model with an operator that has no gradient rule, for weights that are not there,
 *   and when none is left to train
 */
export async function trainingGraph(given: Model, options: TrainingGraphOptions): Promise<TrainingGraph> {
  const { batch, dims, weights, buffers = [], batchNorm, loss: append, outputs = [], layout = 'fastest' } = options;
  if (weights.length === 0) {
    throw new TierbedError('invalid', 'no weight is left to train', { fix: 'Freeze less.' });
  }
  const current = onnxVersion(given) >= OPSET ? given : (await upgradeOpset(given, OPSET)).model;
  const bound = bindBatch(current, batch, dims);
  const opened = fuseGelu(withConstants(weightsAsInputs(bound, [...weights, ...buffers]), outputs), outputs);
  const known = await staticShapes(opened);
  const whole = forward(opened);
  const loss = append({ builder: whole, batch, shapeOf: (tensor) => knownShape(known, tensor) });
  whole.output(loss, 'float32');
  const inferring = whole.build();
  const shapes = await staticShapes(inferring);
  const block = layout === 'plain' ? undefined : await blockSize();
  const blocked = block && blockedForward(inferring, { block, shapes, batchNorm, keep: outputs });
  const { builder, statistics } = blocked || inTrainingForm(inferring, shapes, batchNorm);
  builder.output(loss, 'float32');
  const withLoss = builder.build();
  // Blocked nodes run only when the gradients are there.
  const types = blocked ? await inferValues(withLoss, { probe: false }) : await staticShapes(withLoss);
  const gradients = differentiate(builder, loss, weights, { shapes: types, rows: true });
  const listed = new Set<string>([loss]);
  const give = (tensor: Value): void => {
    if (!listed.has(tensor))
      builder.output(tensor, dtypeOf(types.get(tensor)?.dtype ?? DATA_TYPE.float32) ?? 'float32');
    listed.add(tensor);
  };
  const inputs = new Set(withLoss.graph.inputs.map(({ name }) => name));
  for (const gradient of gradients.values()) {
    if (gradient.kind === 'dense') give(gradient.tensor);
    else {
      for (const { indices, rows } of gradient.parts) {
        give(rows);
        // Who feeds an input knows it already.
        if (!inputs.has(indices)) give(indices);
      }
    }
  }
  for (const { batchMean, batchVariance } of statistics) for (const name of [batchMean, batchVariance]) give(name);
  for (const name of outputs) give(name);
  const made = builder.build();
  return { model: blocked ? fuseBlocked(lower(made, types)) : made, loss, gradients, statistics };
}

function knownShape(shapes: ReadonlyMap<string, TensorType>, tensor: Value): readonly number[] {
  const shape = shapes.get(tensor)?.shape;
  if (shape?.every((dim) => typeof dim === 'number')) return shape as readonly number[];
  throw new TierbedError('invalid', `the shape of ${tensor} is not known before the model runs`);
}

/**
 * A model whose settings are constants, where nodes make them that hold or compute them from shapes alone.
 *
 * @param outputs tensors that stay as they are
 */
function withConstants(model: Model, outputs: readonly string[]): Model {
  const given = outputs.map(
    (name) => ({ name, type: { kind: 'undefined' }, docString: '', metadataProps: [] }) as const,
  );
  const graph = { ...model.graph, outputs: [...model.graph.outputs, ...given] };
  return withKnownValues(constantNodes.run({ ...model, graph }) as Model);
}

/** The forward pass alone: what a run gives is said anew. */
function forward(model: Model): GraphBuilder {
  return GraphBuilder.from({ ...model, graph: { ...model.graph, outputs: [] } });
}

/** The forward pass with BatchNormalization in its training form. */
function inTrainingForm(
  model: Model,
  shapes: ReadonlyMap<string, TensorType>,
  batchNorm: TrainingGraphOptions['batchNorm'],
): { readonly builder: GraphBuilder; readonly statistics: readonly RunningStatistics[] } {
  const { nodes } = model.graph;
  const builder = GraphBuilder.from({ ...model, graph: { ...model.graph, nodes: [], outputs: [] } });
  builder.reserve(nodes);
  const statistics: RunningStatistics[] = [];
  for (const node of nodes) {
    if (batchNorm === 'batch' && isBatchNormalization(node)) {
      statistics.push(emitBatchNormalization(builder, node, knownShape(shapes, node.inputs[0] as string)));
    } else builder.copy(node);
  }
  return { builder, statistics };
}

function isBatchNormalization({ domain, opType }: Node): boolean {
  return isOnnxDomain(domain) && opType === 'BatchNormalization';
}
