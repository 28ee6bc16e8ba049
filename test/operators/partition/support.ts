import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Random } from '../../../base/random.js';
import { GraphBuilder } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';
import { readModel } from '../../../onnx/read.js';
import { openModel } from '../../../onnx/runtime/session.js';
import { type DenseTensor, float32Tensor, type NamedTensor } from '../../../onnx/tensor.js';
import { writeModel } from '../../../onnx/write.js';
import { buildVariants } from '../../../operators/recipe.js';
import type { StageModel, Variant } from '../../../operators/variant.js';
import { encodeItemFile } from '../../../workloads/item-file.js';
import type { Workload, WorkloadItem } from '../../../workloads/types.js';

interface Dense {
  readonly name: string;
  readonly tensor: DenseTensor;
}

export interface Parts {
  readonly evaluation?: readonly (readonly Dense[])[];
  readonly calibration?: readonly (readonly Dense[])[];
}

/** A workload over ready tensors, in a folder that goes with the test. */
export async function workloadOf(
  t: TestContext,
  model: Model | string,
  { evaluation = [], calibration = [] }: Parts = {},
): Promise<Workload & { readonly cache: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-partition-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const modelPath = typeof model === 'string' ? model : join(folder, 'model.onnx');
  if (typeof model !== 'string') await writeModel(model, modelPath);
  const items = (list: readonly (readonly Dense[])[]): WorkloadItem[] =>
    list.map((tensors, i) => ({ id: String(i), label: '', read: async () => encodeItemFile(tensors) }));
  return {
    ...{ name: 'w', modelPath, metric: 'none' },
    ...{ items: items(evaluation), training: [], calibration: items(calibration), tuning: [] },
    ...{ preprocess: { kind: 'tensors' }, postprocess: { kind: 'digest' } },
    cache: join(folder, 'cache'),
  };
}

export interface CutFacts {
  readonly tensors: readonly string[];
  readonly bytes: number | null;
  readonly quantised?: Readonly<Record<string, string>>;
  readonly encoding?: string;
  readonly encodedBytes?: number;
  readonly calibratedOn?: number;
}

export interface PartitionFacts {
  readonly why: string;
  readonly itemShapes?: Readonly<Record<string, readonly number[]>>;
  readonly cuts: readonly CutFacts[];
  readonly stages: readonly { parameters: number; macs: number | null; macsShare: number | null }[];
  readonly wholeMs?: number;
  readonly stageMs?: readonly number[];
}

/** The one variant that `partition` makes with these options, and what it says of it. */
export async function partitioned(
  work: Workload & { readonly cache: string },
  options: Readonly<Record<string, unknown>>,
): Promise<{ variant: Variant; facts: PartitionFacts }> {
  const [variant] = await buildVariants(work, 'x', [{ operator: 'partition', options }], {
    cache: work.cache,
    threads: 1,
  });
  if (!variant) throw new Error('no variant');
  return { variant, facts: variant.steps[0]?.facts as unknown as PartitionFacts };
}

/** Runs stages one after the other, as they are, without any optimisation. */
export async function runStages(
  stages: readonly (StageModel | string)[],
  inputs: readonly NamedTensor[],
): Promise<readonly NamedTensor[]> {
  let tensors = inputs;
  for (const stage of stages) {
    const path = typeof stage === 'string' ? stage : (stage.files[0]?.path as string);
    const session = await openModel(path, { threads: 1, graphOptimization: false });
    const given = session.inputs.flatMap(({ name }) => tensors.find((tensor) => tensor.name === name) ?? []);
    tensors = await session.run(given);
    await session.close();
  }
  return tensors;
}

export const graphOf = async (stage: StageModel | undefined) =>
  (await readModel(stage?.files[0]?.path as string)).graph;

/** A float32 tensor of noise. */
export function noise(name: string, shape: readonly number[], seed = 1): Dense {
  const count = shape.reduce((n, dim) => n * dim, 1);
  const random = new Random(seed).fork(name);
  return { name, tensor: float32Tensor(shape, random.fillUniform(new Float32Array(count), -1, 2)) };
}

/** Matrices of these widths one after the other: `x` [N, first] in, `layer0`, `layer1`... behind them, `out` at the end. */
export function widths(sizes: readonly number[]): Model {
  const g = new GraphBuilder({ name: 'widths' });
  const random = new Random(2);
  let last = g.input('x', 'float32', ['N', sizes[0] as number]);
  for (let i = 1; i < sizes.length; i++) {
    const shape = [sizes[i - 1] as number, sizes[i] as number];
    const weight = g.weight(`w${i}`, shape, () => {
      return random.fork(`w${i}`).fillUniform(new Float32Array((shape[0] as number) * (shape[1] as number)), -0.3, 0.3);
    });
    last = g.node('MatMul', [last, weight], {}, `layer${i - 1}`);
  }
  g.output(g.node('Relu', [last], {}, 'out'), 'float32', ['N', sizes.at(-1) as number]);
  return g.build();
}
