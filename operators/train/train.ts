import { join } from 'node:path';
import { initializerOf } from '../../onnx/build.js';
import type { Model } from '../../onnx/model.js';
import { float32Tensor } from '../../onnx/tensor.js';
import { readCheckpoint, writeCheckpoint } from './checkpoint.js';
import { trainFrom } from './loop.js';
import { keptArrays, type Position, restore, START } from './position.js';
import { type Setup, setUp } from './setup.js';
import { TrainingStep } from './step.js';
import { Tuning } from './tuning.js';
import type { TrainRequest, TrainResult } from './types.js';

/** Between checkpoints, unless the request says otherwise. */
const CHECKPOINT_SECONDS = 20;

/** The file that a training goes on from, in its folder. */
export const CHECKPOINT_FILE = 'checkpoint.bin';

/**
 * Trains a model on the training part of a workload. The same request makes the same weights, bit for bit, whether it
 * runs at once or goes on from a checkpoint in its folder; one that has come to its end there is not run again.
 *
 * @throws TierbedError `invalid` when settings, model and data do not fit each other, or training diverges; `exhausted`
 *   when the disk is full or memory does not suffice; `refused` for a checkpoint of another training; `cancelled` within
 *   one step of the signal, with a checkpoint left
 */
export async function train(request: TrainRequest): Promise<TrainResult> {
  const { workload, plugins = [], folder, checkpointSeconds = CHECKPOINT_SECONDS } = request;
  const setup = await setUp(request);
  const best = bestArrays(setup);
  const path = join(folder, CHECKPOINT_FILE);
  const kept = keptArrays(setup, best, plugins);
  const found = await readCheckpoint(path, setup.key);
  const start = found ? restore(found, kept) : START;
  const save = (position: Position): Promise<void> =>
    writeCheckpoint(path, { key: setup.key, state: position, arrays: kept });
  let savedMs = performance.now();
  const step = start.done ? undefined : await openStep(setup);
  let tuning: Tuning | undefined;
  let end = start;
  try {
    if (step) {
      if (setup.tuning.length > 0) tuning = await openTuning(setup, request);
      end = await trainFrom(start, {
        ...{ request, setup, step, tuning, best },
        cancelled: save,
        async afterStep(position) {
          if (!position.done && performance.now() - savedMs < 1000 * checkpointSeconds) return;
          await save(position);
          savedMs = performance.now();
        },
        notFinite: async (batch, loss, rate) =>
          new Error(`not finite at step ${batch.step}: loss ${loss}, rate ${rate}`),
      });
    }
  } finally {
    await step?.close();
    await tuning?.close();
  }
  const final = end.best ? best : setup.arrays;
  return {
    model: withArrays(request.model, final),
    curve: end.curve,
    facts: {
      ...{ settings: setup.settings, objective: request.objective.name, steps: end.step },
      items: { training: setup.training.length, tuning: setup.tuning.length },
      metric: workload.metric,
    },
  };
}

function openStep({ graph, arrays, given, outputs, threads }: Setup): Promise<TrainingStep> {
  return TrainingStep.open({
    ...{ graph, outputs, threads },
    arrays: new Map([...arrays].filter(([name]) => given.has(name))),
  });
}

function openTuning(
  { arrays, tuning: store, settings: { batch }, dims, threads }: Setup,
  { model, workload }: TrainRequest,
): Promise<Tuning> {
  return Tuning.open({ model, arrays, workload, store, batch, dims, threads });
}

function bestArrays({ settings, arrays }: Setup): ReadonlyMap<string, Float32Array> {
  if (settings.patience === undefined) return new Map();
  return new Map([...arrays].map(([name, { length }]) => [name, new Float32Array(length)]));
}

/** The model with arrays as its initializers of these names. */
function withArrays(model: Model, arrays: ReadonlyMap<string, Float32Array>): Model {
  const initializers = model.graph.initializers.map((each) => {
    const values = arrays.get(each.name);
    return values ? initializerOf(each.name, float32Tensor(each.dims, values)) : each;
  });
  return { ...model, graph: { ...model.graph, initializers } };
}
