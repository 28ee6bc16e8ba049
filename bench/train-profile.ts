import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readModel } from '../onnx/read.js';
import { profileModel } from '../onnx/runtime/profile.js';
import { float32Tensor } from '../onnx/tensor.js';
import { writeModel } from '../onnx/write.js';
import { decodeItemFile } from '../workloads/item-file.js';
import { benchModel } from './train-models.js';
import type { Job } from './train-sides.js';
import { classifierGraph, weightArrays } from './train-step.js';

const LISTED = 8;

/** Where the time of forward and backward pass goes: the slowest operators, each with its share in percent. */
export async function profileSteps(job: Job, signal: AbortSignal): Promise<string> {
  const { batch, classes, dims = {} } = benchModel(job.model);
  const model = await readModel(job.onnx);
  const graph = await classifierGraph(model, { batch, classes, dims });
  const path = join(dirname(job.onnx), 'training.onnx');
  await writeModel(graph.model, path);
  const shapes = new Map(model.graph.initializers.map(({ name, dims: shape }) => [name, shape]));
  const taken = new Set(graph.model.graph.inputs.map(({ name }) => name));
  const weights = [...weightArrays(model, graph)]
    .filter(([name]) => taken.has(name))
    .map(([name, values]) => ({ name, tensor: float32Tensor(shapes.get(name) as readonly number[], values) }));
  const inputs = [...decodeItemFile(new Uint8Array(await readFile(job.item))), ...weights];
  const { kernels, nodesMs } = await profileModel(path, {
    ...{ inputs: [inputs], threads: job.threads, runs: 3, warmUp: 1, signal },
  });
  return kernels
    .slice(0, LISTED)
    .map(({ kernel, nodes, ms }) => `${kernel} x${nodes} ${((100 * ms) / nodesMs).toFixed(0)} %`)
    .join(', ');
}
