import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Random } from '../../../base/random.js';
import { GraphBuilder, type Value } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';
import { readModel } from '../../../onnx/read.js';
import { elementCount, float32Tensor } from '../../../onnx/tensor.js';
import { writeModel } from '../../../onnx/write.js';
import { buildVariants } from '../../../operators/recipe.js';
import type { Variant } from '../../../operators/variant.js';
import { encodeItemFile } from '../../../workloads/item-file.js';
import type { Workload, WorkloadItem } from '../../../workloads/types.js';
import { tensorWorkload } from '../../support/tensor-workload.js';

const SIDE = 12;

/** Pictures of stripes, across or along: 2 classes. */
function stripes(count: number, seed: number, prefix: string): WorkloadItem[] {
  const random = new Random(seed);
  return Array.from({ length: count }, (_, i) => {
    const label = i % 2;
    const phase = random.uniform(0, 6);
    const values = Float32Array.from({ length: SIDE * SIDE }, (_unused, p) => {
      const place = label === 0 ? p % SIDE : Math.floor(p / SIDE);
      return Math.sin(place + phase) + random.normal(0, 0.6);
    });
    const tensor = float32Tensor([1, 1, SIDE, SIDE], values);
    return { id: `${prefix}${i}`, label: String(label), read: async () => encodeItemFile([{ name: 'x', tensor }]) };
  });
}

/** Three convolutions with a residual addition, and a head on the means: `scores` [N, 2]. */
export function residualModel(channels = 16): Model {
  const g = new GraphBuilder({ name: 'residual', opset: 18 });
  const random = new Random(5);
  const weight = (name: string, shape: readonly number[], fan: number): Value => {
    const own = random.fork(name);
    return g.weight(name, shape, () => own.fillNormal(new Float32Array(elementCount(shape)), 0, Math.sqrt(2 / fan)));
  };
  const conv = (x: Value, name: string, from: number, to: number): Value => {
    const inputs = [x, weight(`${name}.weight`, [to, from, 3, 3], 9 * from), weight(`${name}.bias`, [to], 1e4)];
    return g.node('Conv', inputs, { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }, name);
  };
  const x = g.input('x', 'float32', ['N', 1, SIDE, SIDE]);
  const stem = g.node('Relu', [conv(x, 'stem', 1, channels)]);
  const inner = g.node('Relu', [conv(stem, 'inner', channels, 2 * channels)]);
  const sum = g.node('Relu', [g.node('Add', [stem, conv(inner, 'outer', 2 * channels, channels)])]);
  const means = g.node('ReduceMean', [sum, g.int64([2, 3])], { keepdims: 0 });
  const head = [means, weight('head.weight', [2, channels], channels), weight('head.bias', [2], 1e4)];
  g.output(g.node('Gemm', head, { transB: 1 }, 'scores'), 'float32', ['N', 2]);
  return g.build();
}

export type TestWorkload = Workload & { readonly cache: string };

/** A workload of stripes over a model, in a folder that goes with the test. */
export async function stripeWorkload(
  t: TestContext,
  model: Model,
  parts: Partial<Workload> = {},
): Promise<TestWorkload> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-prune-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const modelPath = join(folder, 'model.onnx');
  await writeModel(model, modelPath);
  return {
    ...tensorWorkload({
      ...{ name: 'stripes', modelPath, metric: 'top1', postprocess: { kind: 'argmax', output: 'scores' } },
      ...{ items: stripes(40, 4, 'e'), training: stripes(128, 1, 'a'), tuning: stripes(60, 2, 't') },
      calibration: stripes(8, 3, 'c'),
      ...parts,
    }),
    cache: join(folder, 'cache'),
  };
}

export interface PruneFacts {
  readonly kind: string;
  readonly sparsity: number;
  readonly reached: number;
  readonly layers?: Readonly<Record<string, number>>;
  readonly groups?: readonly { name: string; kind: string; before: number; after: number }[];
  readonly stays?: readonly { name: string; units: number; reason: string }[];
  readonly parameters: { readonly before: number; readonly after: number };
  readonly bytes: { readonly before: number; readonly after: number };
  readonly macs: { readonly before: number; readonly after: number };
  readonly speed: { readonly speedUp: number; readonly runs: number };
  readonly training: string | { readonly curve: readonly { tuning: number | null }[] };
  readonly says: string;
}

/** The one variant of a recipe that ends in `prune`, its model, and what the last step says of it. */
export async function pruned(
  work: TestWorkload,
  options: Readonly<Record<string, unknown>>,
): Promise<{ variant: Variant; model: Model; facts: PruneFacts }> {
  const recipe = [{ operator: 'prune', options }];
  const [variant] = await buildVariants(work, 'x', recipe, { cache: work.cache, threads: 1 });
  if (!variant) throw new Error('no variant');
  const model = await readModel(variant.stages[0]?.files[0]?.path as string);
  return { variant, model, facts: variant.steps.at(-1)?.facts as unknown as PruneFacts };
}
