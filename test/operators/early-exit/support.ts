import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Random } from '../../../base/random.js';
import { GraphBuilder, type Value } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';
import { openModel } from '../../../onnx/runtime/session.js';
import { denseTensor, float32Tensor, float32Values, type NamedTensor } from '../../../onnx/tensor.js';
import { writeModel } from '../../../onnx/write.js';
import { buildVariants } from '../../../operators/recipe.js';
import type { Variant } from '../../../operators/variant.js';
import { encodeItemFile } from '../../../workloads/item-file.js';
import { preparedItems } from '../../../workloads/prepared.js';
import type { Workload, WorkloadItem, WorkloadPart } from '../../../workloads/types.js';

export const CLASSES = 3;
const CHANNELS = 6;
const SIDE = 6;
const INPUT = [1, CHANNELS, SIDE, SIDE];

/**
 * Three 1x1 convolutions with Relu, `a`, `b` and `c`, and a head on the means: `logits` [1, 3]. Channel k of the input
 * stands for class k, and what is in the others stands for nothing.
 */
export function floatModel(): Model {
  const g = new GraphBuilder({ name: 'three' });
  let last = g.input('x', 'float32', INPUT);
  for (const [i, name] of ['a', 'b', 'c'].entries()) {
    const weight = g.weight(`${name}.weight`, [CHANNELS, CHANNELS, 1, 1], () => nearlyIdentity(i));
    last = g.node('Relu', [g.node('Conv', [last, weight], { kernel_shape: [1, 1] }, `${name}.conv`)], {}, name);
  }
  return headed(g, last);
}

/** The same with every activation between QuantizeLinear and DequantizeLinear. */
export function qdqModel(): Model {
  const g = new GraphBuilder({ name: 'quantised' });
  const scale = g.float32(0.02);
  const zero = g.initializer('zero', denseTensor('uint8', [], Uint8Array.of(60)));
  const pair = (x: Value, name: string): Value => {
    const quantised = g.node('QuantizeLinear', [x, scale, zero], {}, `${name}_quantized`);
    return g.node('DequantizeLinear', [quantised, scale, zero], {}, `${name}_dequantized`);
  };
  let last = pair(g.input('x', 'float32', INPUT), 'x');
  for (const [i, name] of ['a', 'b', 'c'].entries()) {
    const weight = g.weight(`${name}.weight`, [CHANNELS, CHANNELS, 1, 1], () => nearlyIdentity(i));
    last = pair(g.node('Conv', [last, weight], { kernel_shape: [1, 1] }, name), name);
  }
  return headed(g, last);
}

function headed(g: GraphBuilder, last: Value): Model {
  const means = g.node('Flatten', [g.node('GlobalAveragePool', [last], {}, 'pooled')], { axis: 1 }, 'means');
  const head = g.weight('head', [CHANNELS, CLASSES], () =>
    Float32Array.from({ length: CHANNELS * CLASSES }, (_, i) => (Math.floor(i / CLASSES) === i % CLASSES ? 4 : 0)),
  );
  g.output(g.node('MatMul', [means, head], {}, 'logits'), 'float32', [1, CLASSES]);
  return g.build();
}

/** The weights of the convolution of that index. */
export function nearlyIdentity(seed: number): Float32Array {
  const random = new Random(20 + seed);
  return Float32Array.from({ length: CHANNELS * CHANNELS }, (_, i) =>
    Math.floor(i / CHANNELS) === i % CHANNELS ? 1 : random.uniform(-0.5, 0.5),
  );
}

/** An item of a class: noise that is a little brighter in the class's channel. */
export function inputOf(seed: number, label: number): Float32Array {
  const random = new Random(seed);
  const bright = random.uniform(0, 0.3);
  return Float32Array.from({ length: CHANNELS * SIDE * SIDE }, (_, i) => {
    const own = Math.floor(i / (SIDE * SIDE)) === label;
    return random.uniform(-0.4, 1) + (own ? bright : 0);
  });
}

export interface WorkOptions {
  /** Items of each part. */
  readonly sizes?: Readonly<Partial<Record<WorkloadPart, number>>>;
  /** The label of an item of a class. */
  readonly labelOf?: (label: number) => string;
  /** What is made of an item's numbers. */
  readonly change?: (values: Float32Array, part: WorkloadPart, index: number) => Float32Array;
}

export type TestWorkload = Workload & { readonly cache: string };

/** A workload over a model, with parts of its own, in a folder that goes with the test. */
export async function workloadOf(
  t: TestContext,
  model: Model,
  { sizes = {}, labelOf = String, change = (values) => values }: WorkOptions = {},
): Promise<TestWorkload> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-exit-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const modelPath = join(folder, 'model.onnx');
  await writeModel(model, modelPath);
  const items = (part: WorkloadPart, first: number): WorkloadItem[] =>
    Array.from({ length: sizes[part] ?? 60 }, (_, i) => ({
      id: `${part}/${i}`,
      label: labelOf(i % CLASSES),
      async read() {
        const values = change(inputOf(first + i, i % CLASSES), part, i);
        return encodeItemFile([{ name: 'x', tensor: float32Tensor(INPUT, values) }]);
      },
    }));
  return {
    ...{ name: 'w', modelPath, metric: 'top1' },
    items: items('evaluation', 1000),
    training: items('training', 4000),
    calibration: items('calibration', 2000),
    tuning: items('tuning', 3000),
    ...{ preprocess: { kind: 'tensors' }, postprocess: { kind: 'argmax', output: 'logits' } },
    cache: join(folder, 'cache'),
  };
}

export interface ExitFacts {
  readonly kind: string;
  readonly at?: string;
  readonly headFrom?: string;
  readonly features?: string;
  readonly exits: readonly { at: string; threshold: number; features: string; tuningShare: number }[];
  readonly tuning: { accuracy: number; fullAccuracy: number; n: number };
  readonly crossing: readonly { tensors: readonly string[]; bytes: number | null }[];
  readonly stageMacsShares: readonly (number | null)[];
  readonly macsShare?: number | null;
  readonly items: { calibration: number; tuning: number };
  readonly unreadable: readonly { id: string; reason: string }[];
}

/** The one variant that `early-exit` makes with these options, and what it says of it. */
export async function exited(
  work: TestWorkload,
  options: Readonly<Record<string, unknown>>,
): Promise<{ variant: Variant; facts: ExitFacts }> {
  const recipe = [{ operator: 'early-exit', options }];
  const [variant] = await buildVariants(work, 'x', recipe, { cache: work.cache, threads: 1 });
  if (!variant) throw new Error('no variant');
  return { variant, facts: variant.steps[0]?.facts as unknown as ExitFacts };
}

/** The items of a part with their inputs. */
export async function inputsOf(work: Workload, part: WorkloadPart) {
  const list: { label: string; inputs: readonly NamedTensor[] }[] = [];
  for await (const { label, inputs } of preparedItems(work, part, () => {})) list.push({ label, inputs });
  return list;
}

/** The outputs of a model, by name. */
export async function outputsOf(
  model: Model | string,
  inputs: readonly NamedTensor[],
): Promise<ReadonlyMap<string, NamedTensor['tensor']>> {
  const session = await openModel(model, { threads: 1 });
  try {
    return new Map((await session.run(inputs)).map(({ name, tensor }) => [name, tensor]));
  } finally {
    await session.close();
  }
}

export function numbers(tensor: NamedTensor['tensor'] | undefined): number[] {
  return tensor ? Array.from(float32Values(tensor)) : [];
}

export function close(a: readonly number[], b: readonly number[], by = 1e-5): boolean {
  return a.length === b.length && a.every((value, i) => Math.abs(value - (b[i] as number)) <= by);
}
