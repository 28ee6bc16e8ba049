import { availableParallelism } from 'node:os';
import { TierbedError } from '../../base/errors.js';
import { type TrainingGraph, trainingGraph } from '../../onnx/grad/training-graph.js';
import { initializerTensor } from '../../onnx/initializer.js';
import type { Model } from '../../onnx/model.js';
import { float32Values } from '../../onnx/tensor.js';
import { metricOf } from '../../workloads/metrics/index.js';
import { firstInputs, partOf } from '../../workloads/prepared.js';
import { chosenWeights } from './chosen-weights.js';
import { decayingWeights } from './decay.js';
import { stepsPerEpoch } from './epoch-order.js';
import { CacheBudget, ItemStore } from './items.js';
import { availableBytes } from './memory.js';
import { type Optimizer, optimizer } from './optimizers/index.js';
import { runKey } from './run-key.js';
import { resolveSettings, type Settings } from './settings.js';
import type { TrainRequest } from './types.js';

/** All that a training needs before its first step. */
export interface Setup {
  readonly settings: Settings;
  readonly threads: number;
  readonly training: ItemStore;
  readonly tuning: ItemStore;
  readonly graph: TrainingGraph;
  readonly dims: Readonly<Record<string, number>>;
  /** By name: what is trained, what plugins change, running statistics of normalisations; changed in place. */
  readonly arrays: ReadonlyMap<string, Float32Array>;
  /** Names of the arrays that the training graph is given. */
  readonly given: ReadonlySet<string>;
  readonly optimizer: Optimizer;
  /** What the optimiser keeps, by weight. */
  readonly slots: ReadonlyMap<string, readonly Float32Array[]>;
  readonly decaying: ReadonlySet<string>;
  readonly stepsPerEpoch: number;
  readonly steps: number;
  readonly key: Readonly<Record<string, string>>;
  /** Tensors that plugins look at. */
  readonly outputs: readonly string[];
}

/** Prepared items take at most so much memory, and at most a quarter of what is left. */
const CACHE_BYTES = 1 << 30;

/**
 * Reads the data, differentiates the model and makes every array.
 *
 * @throws TierbedError `invalid` when the settings, the model and the data do not fit each other; `cancelled`
 */
export async function setUp(request: TrainRequest): Promise<Setup> {
  const { model, workload, objective, plugins = [], batchNorm, progress, signal } = request;
  const settings = resolveSettings(request.settings);
  const threads = request.threads === 0 ? availableParallelism() : request.threads;
  const buffers = [...new Set(plugins.flatMap((plugin) => plugin.buffers ?? []))];
  const weights = chosenWeights(model, request.weights, settings.freeze).filter((name) => !buffers.includes(name));
  refuseTooFew(partOf(workload, 'training').length, settings, workload.name);
  refusePatience(request, settings);
  refuseUnknownDims(model, settings);
  const outputs = [...new Set(plugins.flatMap((plugin) => plugin.outputs ?? []))];
  const dims = { ...(await itemDimensions(request)), ...settings.dims };
  // Before all items are read: that takes longer, and a model that cannot be trained is told at once.
  const graph = await trainingGraph(model, {
    ...{ batch: settings.batch, dims, weights, buffers, batchNorm, outputs },
    loss: objective.loss,
  });
  const trained = weights.filter((name) => graph.gradients.has(name));
  if (trained.length === 0) {
    throw new TierbedError('invalid', 'there is nothing to train: the loss depends on none of the weights', {
      fix: 'Freeze less, or name another output.',
    });
  }
  const budget = new CacheBudget(Math.min(CACHE_BYTES, availableBytes() / 4));
  const tuning = await ItemStore.open(workload, 'tuning', budget, { progress, signal });
  const training = await ItemStore.open(workload, 'training', budget, { progress, signal });
  refuseTooFew(training.length, settings, workload.name, training.unreadable[0]?.reason);
  const statistics = graph.statistics.flatMap(({ mean, variance }) => [mean, variance]);
  const arrays = ownArrays(model, [...weights, ...buffers, ...statistics]);
  const chosen = optimizer(settings.optimizer);
  const perEpoch = stepsPerEpoch(training.length, settings.batch);
  return {
    ...{ settings, threads, training, tuning, graph, dims, arrays, outputs, optimizer: chosen },
    given: new Set([...weights, ...buffers]),
    slots: new Map(
      trained.map((name) => [
        name,
        Array.from({ length: chosen.slots }, () => new Float32Array((arrays.get(name) as Float32Array).length)),
      ]),
    ),
    decaying: decayingWeights(model, trained, settings.optimizer.noDecay),
    stepsPerEpoch: perEpoch,
    steps: perEpoch * settings.epochs,
    key: await runKey(request, settings, weights, threads),
  };
}

function refuseTooFew(items: number, { batch }: Settings, workload: string, reason?: string): void {
  if (items >= batch) return;
  if (items === 0 && reason === undefined) {
    throw new TierbedError('invalid', `${workload} has no training part`, {
      fix: 'Give the workload one, e.g. `split: { training: 2000, tuning: 200, calibration: 200 }` (docs/workloads.md).',
    });
  }
  const read = reason === undefined ? '' : ` that can be read (${reason})`;
  throw new TierbedError('invalid', `the batch is ${batch}, and ${workload} has ${items} training items${read}`, {
    fix:
      items === 0
        ? 'Look at what is wrong with the items.'
        : `Give \`batch: ${items}\` at most, or more training items.`,
  });
}

function refusePatience({ workload }: TrainRequest, { patience }: Settings): void {
  if (patience === undefined) return;
  const labelled = workload.tuning.some(({ label }) => label !== '');
  if (labelled && metricOf(workload).name !== 'none') return;
  throw new TierbedError('invalid', `patience looks at the tuning part, and ${workload.name} has none with labels`, {
    fix: 'Give the workload a tuning part, or leave `patience` out.',
  });
}

/** @throws TierbedError `invalid` when `dims` has a number for a symbol that no input has */
function refuseUnknownDims({ graph }: Model, { dims }: Settings): void {
  const shapes = graph.inputs.flatMap(({ type }) => (type.kind === 'tensor' ? (type.shape ?? []) : []));
  const symbols = [...new Set(shapes.filter((dim) => typeof dim === 'string'))];
  const unknown = Object.keys(dims).find((name) => !symbols.includes(name));
  if (unknown === undefined) return;
  throw new TierbedError('invalid', `dims has a number for '${unknown}', which no input's shape has`, {
    fix: symbols.length > 0 ? `The shapes have: ${symbols.join(', ')}.` : 'Leave it out: the shapes are all numbers.',
  });
}

/** Numbers for symbols of the inputs' shapes, as the first item that can be read has them: the length of texts. */
async function itemDimensions({ model, workload, signal }: TrainRequest): Promise<Record<string, number>> {
  const item = await firstInputs(workload, 'training', signal);
  const found: Record<string, number> = {};
  for (const { name, type } of model.graph.inputs) {
    const shape = item?.find((input) => input.name === name)?.tensor.shape;
    if (type.kind !== 'tensor' || !shape) continue;
    for (const [axis, dim] of (type.shape ?? []).entries()) {
      if (axis > 0 && typeof dim === 'string') found[dim] ??= shape[axis] as number;
    }
  }
  return found;
}

/** Initializers as arrays that nothing else uses. */
function ownArrays(model: Model, names: readonly string[]): Map<string, Float32Array> {
  const found = new Map(model.graph.initializers.map((each) => [each.name, each]));
  return new Map(
    names.map((name): [string, Float32Array] => {
      const initializer = found.get(name);
      if (initializer) return [name, Float32Array.from(float32Values(initializerTensor(initializer)))];
      throw new TierbedError('invalid', `${name} is no initializer of the model`);
    }),
  );
}
