// What the PyTorch side is given: the items as the models take them, in the same parts, and the same first weights.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DenseTensor, denseTensor, float32Tensor, type NamedTensor } from '../onnx/tensor.js';
import { preparedItems } from '../workloads/prepared.js';
import type { Workload, WorkloadPart } from '../workloads/types.js';
import { architecture, parametersOf } from '../workloads/zoo/architectures.js';
import { freshWeights } from '../workloads/zoo/fresh-weights.js';
import type { NetworkOptions } from '../workloads/zoo/options.js';
import { writeNpy } from './npy.js';
import type { KeyedRecipe } from './real-data-sets.js';

const PARTS: readonly WorkloadPart[] = ['training', 'tuning', 'calibration', 'evaluation'];

/** What a student of the zoo is built with, for its first weights. */
export interface StudentNetwork {
  readonly zoo: string;
  readonly options: NetworkOptions;
}

/**
 * Writes a seed for the PyTorch side: `PART.INPUT.npy` and `PART.labels.npy`, the student's first weights as
 * `student/NAME.npy`, and `job.json`.
 *
 * @returns the path of the job
 */
export async function exportSeed(
  workload: Workload,
  seed: number,
  recipes: readonly KeyedRecipe[],
  { folder, runs, student, signal }: { folder: string; runs: string; student: StudentNetwork; signal: AbortSignal },
): Promise<string> {
  const own = join(folder, `${workload.name}-${seed}`);
  await mkdir(join(own, 'student'), { recursive: true });
  for (const part of PARTS) {
    for (const [name, tensor] of await stacked(workload, part, signal)) {
      await writeNpy(join(own, `${part}.${name}.npy`), tensor);
    }
  }
  const network = architecture(student.zoo);
  const source = freshWeights(seed);
  for (const parameter of parametersOf(network, student.options)) {
    await writeNpy(join(own, 'student', `${parameter.name}.npy`), float32Tensor(parameter.shape, source(parameter)()));
  }
  const path = join(own, 'job.json');
  const job = { data: workload.name, seed, folder: own, model: workload.modelPath, runs, recipes };
  await writeFile(path, JSON.stringify(job, null, 2));
  return path;
}

/** The items of a part one behind the other: each input [items, ...], and `labels` int64 [items]. */
async function stacked(workload: Workload, part: WorkloadPart, signal: AbortSignal): Promise<Map<string, DenseTensor>> {
  const items: (readonly NamedTensor[])[] = [];
  const labels: bigint[] = [];
  const unreadable = ({ id, reason }: { id: string; reason: string }): never => {
    throw new Error(`${id}: ${reason}`);
  };
  const { classes } = workload.postprocess as { readonly classes?: readonly string[] };
  for await (const { inputs, label } of preparedItems(workload, part, unreadable, signal)) {
    items.push(inputs);
    labels.push(BigInt(classes ? classes.indexOf(label) : Number(label)));
  }
  const made = new Map<string, DenseTensor>();
  for (const [i, { name, tensor }] of (items[0] ?? []).entries()) {
    if (tensor.dtype === 'string') throw new Error(`${name} is text`);
    const data = Buffer.concat(items.map((inputs) => ((inputs[i] as NamedTensor).tensor as DenseTensor).data));
    made.set(name, denseTensor(tensor.dtype, [items.length, ...tensor.shape.slice(1)], new Uint8Array(data)));
  }
  const bytes = new Uint8Array(BigInt64Array.from(labels).buffer);
  return made.set('labels', denseTensor('int64', [labels.length], bytes));
}
