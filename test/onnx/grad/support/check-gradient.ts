import assert from 'node:assert/strict';
import { Random } from '../../../../base/random.js';
import { initializerTensor } from '../../../../onnx/initializer.js';
import { DATA_TYPE, type Model } from '../../../../onnx/model.js';
import { openModel } from '../../../../onnx/runtime/session.js';
import { type DenseTensor, elementCount, float32Tensor, float32Values } from '../../../../onnx/tensor.js';
import { type Feed, feedsOf, type OneNode, oneNodeModel, tensorOf } from '../../../support/one-node.js';
import { backwardOf, weightOf } from './backward.js';
import { assertDifferences, type DifferenceOptions, type Feeds } from './differences.js';

export interface GradientOptions extends DifferenceOptions {
  /** Inputs and initializers to differentiate by; all float32 inputs unless told. */
  readonly wrt?: readonly string[];
  /** What each output is multiplied with before all are summed up; random unless told. */
  readonly weights?: Readonly<Record<string, Float32Array>>;
  /** false: the gradients are not held against finite differences. */
  readonly differences?: boolean;
}

export interface GradientRun {
  /** The model's float32 outputs. */
  readonly outputs: ReadonlyMap<string, Float32Array>;
  /** By tensor; zeros where nothing depends on it. */
  readonly gradients: ReadonlyMap<string, Float32Array>;
}

/**
 * Differentiates sum(output * weight) over the float32 outputs of a model, runs it as training would, and holds the
 * gradients against finite differences of the model itself.
 *
 * @example
 * await checkGradient(oneNodeModel(node), tensorsOf(node));
 */
export async function checkGradient(model: Model, feeds: Feeds, options: GradientOptions = {}): Promise<GradientRun> {
  const opened = initializersAsInputs(model, feeds, options.wrt ?? []);
  const wrt = options.wrt ?? floatNames(opened.feeds);
  const backward = await backwardOf(opened.model, wrt);
  const random = new Random(options.seed ?? 1);
  const weights = new Map(
    [...backward.outputs].map(([name, shape]) => {
      const given = options.weights?.[name];
      const values = given ?? random.fork(name).fillUniform(new Float32Array(elementCount(shape)), -1, 1);
      return [name, float32Tensor(shape, values)] as const;
    }),
  );
  const run = await runOnce(backward.model, {
    ...opened.feeds,
    ...Object.fromEntries([...weights].map(([name, weight]) => [weightOf(name), weight])),
  });
  const outputs = new Map([...backward.outputs.keys()].map((name) => [name, run.get(name) as Float32Array]));
  const gradients = new Map(
    wrt.map((name) => {
      const gradient = backward.gradients.get(name);
      const size = elementCount((opened.feeds[name] as DenseTensor).shape);
      return [name, gradient === undefined ? new Float32Array(size) : (run.get(gradient) as Float32Array)];
    }),
  );
  for (const [name, values] of gradients) {
    assert.ok(values.every(Number.isFinite), `the gradient by ${name} is made of numbers`);
  }
  if (options.differences !== false) {
    const session = await openModel(opened.model, { threads: 1, spinning: false });
    const names = [...weights.keys()];
    const loss = async (moved: Feeds): Promise<number> => {
      const results = await session.run(named(moved), names);
      return results.reduce((total, { name, tensor }) => {
        const weight = float32Values(weights.get(name) as DenseTensor);
        return float32Values(tensor).reduce((sum, value, i) => sum + value * (weight[i] as number), total);
      }, 0);
    };
    try {
      await assertDifferences(loss, opened.feeds, gradients, options);
    } finally {
      await session.close();
    }
  }
  return { outputs, gradients };
}

/** `checkGradient` of a model of one node, by all its float32 inputs that are no constants (`in0`, `in1`...). */
export function checkNode(node: OneNode, options: GradientOptions = {}): Promise<GradientRun> {
  return checkGradient(oneNodeModel({ opset: 18, ...node }), tensorsOf(node), options);
}

/** The tensors that a one-node model is fed with. */
export function tensorsOf(node: OneNode): Feeds {
  return Object.fromEntries(Object.entries(feedsOf(node)).map(([name, feed]) => [name, tensorOf(feed)]));
}

/** A float32 input of uniformly distributed elements. */
export function uniform(random: Random, shape: readonly number[], low = -1, high = 1): Feed {
  const values = random.fillUniform(new Float32Array(elementCount(shape)), low, high);
  return { dtype: 'float32', shape, value: [...values] };
}

/** A float32 input of different elements, no two nearer than a gap: for operators that compare. */
export function spaced(random: Random, shape: readonly number[], gap = 0.1): Feed {
  const count = elementCount(shape);
  const ranks = random.shuffle(Array.from({ length: count }, (_, i) => i));
  return { dtype: 'float32', shape, value: ranks.map((rank) => Math.fround((rank - (count - 1) / 2) * gap)) };
}

/** Runs a model once. @returns its float32 outputs */
export async function runOnce(model: Model, feeds: Feeds): Promise<ReadonlyMap<string, Float32Array>> {
  const session = await openModel(model, { threads: 1, spinning: false });
  try {
    const results = await session.run(named(feeds));
    return new Map(
      results.flatMap(({ name, tensor }): [string, Float32Array][] =>
        tensor.dtype === 'float32' ? [[name, float32Values(tensor).slice()]] : [],
      ),
    );
  } finally {
    await session.close();
  }
}

function named(feeds: Feeds) {
  return Object.entries(feeds).map(([name, tensor]) => ({ name, tensor }));
}

function floatNames(feeds: Feeds): string[] {
  return Object.keys(feeds).filter((name) => feeds[name]?.dtype === 'float32');
}

/** Makes inputs of initializers, fed with what they hold, so that they can be moved. */
function initializersAsInputs(model: Model, feeds: Feeds, names: readonly string[]): { model: Model; feeds: Feeds } {
  const { graph } = model;
  const moved = graph.initializers.filter(({ name }) => names.includes(name));
  if (moved.length === 0) return { model, feeds };
  const inputs = moved.map(({ name, dims }) => ({
    ...{ name, docString: '', metadataProps: [] },
    type: { kind: 'tensor', elemType: DATA_TYPE.float32, shape: dims } as const,
  }));
  const initializers = graph.initializers.filter((each) => !moved.includes(each));
  const values = Object.fromEntries(moved.map((each) => [each.name, initializerTensor(each) as DenseTensor]));
  const own = graph.inputs.filter(({ name }) => !names.includes(name) || name in feeds);
  return {
    model: { ...model, graph: { ...graph, inputs: [...own, ...inputs], initializers } },
    feeds: { ...values, ...feeds },
  };
}
