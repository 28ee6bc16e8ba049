import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { silent } from '../../../base/progress.js';
import { Random } from '../../../base/random.js';
import type { Model } from '../../../onnx/model.js';
import { type DenseTensor, denseTensor, float32Tensor } from '../../../onnx/tensor.js';
import { writeModel } from '../../../onnx/write.js';
import { describeModel } from '../../../operators/model-files.js';
import type { Operator } from '../../../operators/operator.js';
import type { Made, Variant } from '../../../operators/variant.js';
import { encodeItemFile } from '../../../workloads/item-file.js';
import type { Workload, WorkloadItem } from '../../../workloads/types.js';

/** Random pictures for `smallCnn`. */
export const picture = (seed: number): DenseTensor =>
  float32Tensor([1, 3, 16, 16], new Random(seed).fillUniform(new Float32Array(768), -1, 1));

/** Random texts for `smallTransformer`. */
export const text = (seed: number): DenseTensor => {
  const random = new Random(seed);
  const ids = BigInt64Array.from({ length: 6 }, () => BigInt(random.integer(64)));
  return denseTensor('int64', [1, 6], new Uint8Array(ids.buffer));
};

/** A workload of a model and random items, in a folder that is gone after the test. */
export async function workloadOf(
  t: TestContext,
  model: Model,
  input: string,
  tensor: (seed: number) => DenseTensor,
): Promise<{ workload: Workload; folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-quantise-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const modelPath = join(folder, 'float.onnx');
  await writeModel(model, modelPath);
  const items = (from: number, count: number): WorkloadItem[] =>
    Array.from({ length: count }, (_, i) => ({
      ...{ id: String(from + i), label: '' },
      read: async () => encodeItemFile([{ name: input, tensor: tensor(from + i) }]),
    }));
  const workload: Workload = {
    ...{ name: 'random', modelPath, items: items(0, 8) },
    ...{ training: [], calibration: items(100, 8), tuning: items(200, 8) },
    ...{ preprocess: { kind: 'tensors' }, postprocess: { kind: 'digest' }, metric: 'none' },
  };
  return { workload, folder };
}

let folders = 0;

/** Takes a workload's model through one operator. */
export async function applied(
  operator: Operator,
  options: Readonly<Record<string, unknown>>,
  workload: Workload,
  folder: string,
): Promise<Made & { readonly path: string }> {
  const outDir = join(folder, `made-${folders++}`);
  await mkdir(outDir);
  const variant: Variant = { name: 'whole', stages: [await describeModel(workload.modelPath)], steps: [] };
  const workDir = `${outDir}-work`;
  const context = { workload, threads: 1, outDir, workDir, progress: silent, signal: new AbortController().signal };
  const [made] = await operator.apply(variant, options, context);
  if (!made) throw new Error('nothing was made');
  return { ...made, path: made.stages[0]?.files[0]?.path as string };
}
