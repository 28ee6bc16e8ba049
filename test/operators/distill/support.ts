import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Random } from '../../../base/random.js';
import { GraphBuilder } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';
import { denseTensor, float32Tensor } from '../../../onnx/tensor.js';
import { writeModel } from '../../../onnx/write.js';
import { encodeItemFile } from '../../../workloads/item-file.js';
import type { Workload, WorkloadItem, WorkloadPart } from '../../../workloads/types.js';
import { architecture } from '../../../workloads/zoo/architectures.js';
import { freshWeights } from '../../../workloads/zoo/fresh-weights.js';

const SIDE = 8;
export const CLASSES = 3;

/**
 * Pictures `x` [N, 3, 8, 8] to `scores` [N, 3]: two convolutions, `layer.0` and `layer.1`, each behind a Relu, and a head
 * on the means. It says which channel is the brightest.
 */
export function brightest(channels = 3): Model {
  const g = new GraphBuilder({ name: 'brightest' });
  let x = g.input('x', 'float32', ['N', 3, SIDE, SIDE]);
  for (const [i, from] of [3, channels].entries()) {
    const weight = g.weight(`layer.${i}.weight`, [channels, from, 1, 1], () => mixing(channels, from));
    x = g.node('Relu', [g.node('Conv', [x, weight], { kernel_shape: [1, 1] })], {}, `layer.${i}`);
  }
  const means = g.node('Flatten', [g.node('GlobalAveragePool', [x])], { axis: 1 }, 'means');
  const head = g.weight('head', [channels, CLASSES], () => mixing(channels, CLASSES).map((value) => 6 * value));
  g.output(g.node('MatMul', [means, head], {}, 'scores'), 'float32', ['N', CLASSES]);
  return g.build();
}

/** Mostly the identity. */
function mixing(rows: number, columns: number): Float32Array {
  const random = new Random(rows * columns);
  return Float32Array.from({ length: rows * columns }, (_, i) =>
    Math.floor(i / columns) === i % columns ? 1 : random.uniform(-0.1, 0.1),
  );
}

export type TestWorkload = Workload & { readonly folder: string; readonly cache: string };

interface Data {
  readonly sizes?: Readonly<Partial<Record<WorkloadPart, number>>>;
  readonly itemOf: (seed: number, label: number) => Parameters<typeof encodeItemFile>[0];
  readonly output: string;
  readonly classes: number;
}

async function workloadOf(
  t: TestContext,
  model: Model,
  { sizes = {}, itemOf, output, classes }: Data,
): Promise<TestWorkload> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-distill-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const modelPath = join(folder, 'teacher.onnx');
  await writeModel(model, modelPath);
  const items = (part: WorkloadPart, first: number): WorkloadItem[] =>
    Array.from({ length: sizes[part] ?? 24 }, (_, i) => ({
      ...{ id: `${part}/${i}`, label: String(i % classes) },
      read: async () => encodeItemFile(itemOf(first + i, i % classes)),
    }));
  return {
    ...{ name: 'w', modelPath, metric: 'top1' },
    items: items('evaluation', 1000),
    training: items('training', 2000),
    calibration: items('calibration', 3000),
    tuning: items('tuning', 4000),
    ...{ preprocess: { kind: 'tensors' }, postprocess: { kind: 'argmax', output } },
    ...{ folder, cache: join(folder, 'cache') },
  };
}

/** Noise that is brighter in the channel of its class. */
export function pictures(t: TestContext, model = brightest(), sizes: Data['sizes'] = {}): Promise<TestWorkload> {
  const itemOf = (seed: number, label: number) => {
    const random = new Random(seed);
    const values = Float32Array.from({ length: 3 * SIDE * SIDE }, (_, i) => {
      return random.uniform(-1, 1) + (Math.floor(i / (SIDE * SIDE)) === label ? 0.4 : 0);
    });
    return [{ name: 'x', tensor: float32Tensor([1, 3, SIDE, SIDE], values) }];
  };
  return workloadOf(t, model, { sizes, itemOf, output: 'scores', classes: CLASSES });
}

export const TOKENS = 6;
const VOCABULARY = 12;

/** A BERT of so many layers. */
export function bert(layers: number, hidden: number, heads: number, seed = 1): Model {
  const options = {
    layers,
    hidden,
    heads,
    intermediate: 2 * hidden,
    vocabulary: VOCABULARY,
    positions: TOKENS,
    classes: 2,
  };
  return architecture('bert-tiny').build(freshWeights(seed), options).model;
}

/** Texts of two to six words, padded, of two classes. */
export function texts(t: TestContext, model: Model, sizes: Data['sizes'] = {}): Promise<TestWorkload> {
  const itemOf = (seed: number, label: number) => {
    const random = new Random(seed);
    const length = 2 + random.integer(TOKENS - 1);
    const ids = Array.from({ length: TOKENS }, (_, i) => (i < length ? 1 + 2 * random.integer(5) + label : 0));
    const tensor = (values: readonly number[]) =>
      denseTensor('int64', [1, TOKENS], new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
    return [
      { name: 'input_ids', tensor: tensor(ids) },
      { name: 'attention_mask', tensor: tensor(ids.map((id) => (id > 0 ? 1 : 0))) },
      { name: 'token_type_ids', tensor: tensor(ids.map(() => 0)) },
    ];
  };
  return workloadOf(t, model, { sizes, itemOf, output: 'logits', classes: 2 });
}
