import { rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { TierbedError } from '../../base/errors.js';
import { initializerOf } from '../../onnx/build.js';
import type { Model } from '../../onnx/model.js';
import { float32Tensor } from '../../onnx/tensor.js';
import { metricOf } from '../../workloads/metrics/index.js';
import { readCheckpoint, removeUnfinished, writeCheckpoint } from './checkpoint.js';
import { removeCurve, writeCurve, writePlot } from './curve-files.js';
import { trainFrom } from './loop.js';
import { availableBytes, type MemoryNeed, megabytes, memoryNeed, refuseTooLarge } from './memory.js';
import { keptArrays, type Position, restore, START } from './position.js';
import { type Setup, setUp } from './setup.js';
import { TrainingStep } from './step.js';
import { Tuning } from './tuning.js';
import type { TrainRequest, TrainResult } from './types.js';

/** Between checkpoints, unless the request says otherwise. */
const CHECKPOINT_SECONDS = 20;
/** And that many times what the last one took to write: those of large models would else take most of the time. */
const CHECKPOINT_PATIENCE = 20;

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
  const { workload, plugins = [], folder, checkpointSeconds = CHECKPOINT_SECONDS, progress } = request;
  const setup = await setUp(request);
  const memory = await memoryNeed(setup);
  refuseTooLarge(memory, availableBytes());
  const best = bestArrays(setup);
  const path = join(folder, CHECKPOINT_FILE);
  const kept = keptArrays(setup, best, plugins);
  await removeUnfinished(folder);
  const found = await readCheckpoint(path, setup.key);
  const start = found ? restore(found, kept) : START;
  let dueMs = performance.now() + 1000 * checkpointSeconds;
  let written = start.curve.length;
  const save = async (position: Position): Promise<void> => {
    const startMs = performance.now();
    await writeCheckpoint(path, { key: setup.key, state: position, arrays: kept });
    const nowMs = performance.now();
    const pauseMs = checkpointSeconds === 0 ? 0 : CHECKPOINT_PATIENCE * (nowMs - startMs);
    dueMs = nowMs + Math.max(1000 * checkpointSeconds, pauseMs);
  };
  let end = start;
  if (!start.done) {
    const step = await openStep(setup);
    const tuning = setup.tuning.length > 0 ? await openTuning(setup, request) : undefined;
    progress.start(`training ${workload.name} in about ${megabytes(memory.total)}`, setup.steps);
    try {
      end = await trainFrom(start, {
        ...{ request, setup, step, tuning, best },
        cut: save,
        async reached(position) {
          if (position.curve.length > written) await writeCurve(folder, position.curve);
          written = position.curve.length;
          if (position.done || performance.now() >= dueMs) await save(position);
        },
      });
    } catch (error) {
      if (error instanceof TierbedError && error.kind === 'invalid') await removeProgress(folder);
      throw error;
    } finally {
      progress.stop();
      await step.close();
      await tuning?.close();
    }
    await writePlot(folder, end.curve, metricOf(workload).title);
  }
  return {
    model: withArrays(request.model, end.best ? best : setup.arrays),
    curve: end.curve,
    facts: factsOf(request, setup, memory, end),
  };
}

/** What a training leaves that went wrong: run again, it would go wrong at the same step. */
async function removeProgress(folder: string): Promise<void> {
  await rm(join(folder, CHECKPOINT_FILE), { force: true }).catch(() => {});
  await removeCurve(folder);
  // Others may keep something beside it.
  await rmdir(folder).catch(() => {});
}

/** For manifests. */
function factsOf({ objective, workload }: TrainRequest, setup: Setup, memory: MemoryNeed, end: Position) {
  const { settings, threads, training, tuning, slots } = setup;
  return {
    ...{ objective: objective.name, settings, threads, steps: end.step, epochs: end.curve.length },
    items: { training: training.length, tuning: tuning.length },
    unreadable: [...training.unreadable, ...tuning.unreadable],
    trained: { weights: slots.size, parameters: [...slots.keys()].reduce((sum, name) => sum + sizeOf(setup, name), 0) },
    metric: workload.metric,
    ...(end.best && { best: { epoch: end.best.epoch, tuning: end.best.value } }),
    memory,
    seconds: end.curve.reduce((sum, { seconds }) => sum + seconds, 0),
    curve: end.curve,
  };
}

function sizeOf({ arrays }: Setup, name: string): number {
  return arrays.get(name)?.length ?? 0;
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
