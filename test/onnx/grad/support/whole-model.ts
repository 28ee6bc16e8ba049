import assert from 'node:assert/strict';
import { Random } from '../../../../base/random.js';
import { trainableWeights } from '../../../../onnx/grad/trainable.js';
import { type Loss, trainingGraph } from '../../../../onnx/grad/training-graph.js';
import { initializerTensor } from '../../../../onnx/initializer.js';
import { DATA_TYPE, type Model } from '../../../../onnx/model.js';
import { madeUpInputs } from '../../../../onnx/runtime/made-up-inputs.js';
import { type ModelSession, openModel } from '../../../../onnx/runtime/session.js';
import {
  type DenseTensor,
  elementCount,
  float32Tensor,
  float32Values,
  type NamedTensor,
} from '../../../../onnx/tensor.js';

export interface WholeOptions {
  readonly batch?: number;
  readonly dims?: Readonly<Record<string, number>>;
  readonly batchNorm?: 'batch' | 'frozen';
  /** Weights that are tried, spread over the model; 8 unless told. */
  readonly weights?: number;
  /** Length of a step, in parts of the weight's own; 1e-3 unless told. */
  readonly step?: number;
  /** In parts of the difference; 0.02 unless told. */
  readonly tolerance?: number;
  /** The sum of all outputs, each element by a random number of its own, unless told. */
  readonly loss?: Loss;
  /** Those that are not made up. */
  readonly inputs?: readonly NamedTensor[];
}

export interface WholeRun {
  readonly loss: number;
  /** Dense, by weight: of all that the loss depends on. */
  readonly gradients: ReadonlyMap<string, Float32Array>;
}

/** Of a loss that is worked out in float32, in parts of it: twice the distance of two numbers. */
const ROUNDING = 2 ** -22;

/**
 * Makes the training graph of a model and holds the gradients of its weights against differences of the loss: for each
 * weight along its gradient, mixed with as much of a random direction, so that what the gradient lacks is missed too.
 * Steps of three lengths are tried, for one may cross kinks.
 */
export async function checkWholeModel(model: Model, options: WholeOptions = {}): Promise<WholeRun> {
  const { batch = 2, dims, batchNorm = 'frozen', step = 1e-3, tolerance = 0.02 } = options;
  const names = trainableWeights(model);
  const {
    gradients,
    model: graph,
    loss,
  } = await trainingGraph(model, {
    ...{ batch, weights: names, batchNorm, loss: options.loss ?? weightedSum(model) },
    ...(dims && { dims }),
  });
  const weights = new Map(
    model.graph.initializers
      .filter(({ name }) => names.includes(name))
      .map((each) => {
        return [each.name, initializerTensor(each) as DenseTensor] as const;
      }),
  );
  const session = await openModel(graph, { threads: 1, spinning: false });
  try {
    const inputs = inputsOf(session, weights, options.inputs);
    const first = await session.run(inputs);
    const results = new Map([...inputs, ...first].map(({ name, tensor }) => [name, tensor as DenseTensor]));
    const dense = new Map(
      [...gradients].map(([name, gradient]) => {
        const { shape } = weights.get(name) as DenseTensor;
        if (gradient.kind === 'dense')
          return [name, float32Values(results.get(gradient.tensor) as DenseTensor).slice()];
        return [name, scattered(shape, gradient.parts, results)];
      }) as [string, Float32Array][],
    );
    const value = float32Values(results.get(loss) as DenseTensor)[0] as number;
    for (const name of spread([...dense.keys()], options.weights ?? 8)) {
      const { shape } = weights.get(name) as DenseTensor;
      const lossAt = async (values: Float32Array): Promise<number> => {
        const tensor = float32Tensor(shape, values);
        const moved = inputs.map((each) => (each.name === name ? { name, tensor } : each));
        const [result] = await session.run(moved, [loss]);
        return float32Values(result?.tensor as DenseTensor)[0] as number;
      };
      const values = float32Values(weights.get(name) as DenseTensor);
      await assertSlope({
        name,
        values,
        gradient: dense.get(name) as Float32Array,
        loss: value,
        lossAt,
        step,
        tolerance,
      });
    }
    return { loss: value, gradients: dense };
  } finally {
    await session.close();
  }
}

interface Slope {
  readonly name: string;
  readonly values: Float32Array;
  readonly gradient: Float32Array;
  readonly loss: number;
  readonly lossAt: (values: Float32Array) => Promise<number>;
  readonly step: number;
  readonly tolerance: number;
}

/** That the loss rises along a direction as the gradient says, by steps of three lengths. */
async function assertSlope({ name, values, gradient, loss, lossAt, step, tolerance }: Slope): Promise<void> {
  const direction = mixed(gradient, new Random(1).fork(name));
  const expected = dot(gradient, direction);
  const length = step * Math.max(norm(values), 1e-2 * Math.sqrt(values.length));
  const tried: number[] = [];
  for (const h of [length, length / 4, length * 4]) {
    const at = (sign: number) => lossAt(values.map((each, i) => each + sign * h * (direction[i] as number)));
    const difference = ((await at(1)) - (await at(-1))) / (2 * h);
    tried.push(difference);
    const noise = (ROUNDING * Math.max(1, Math.abs(loss))) / h;
    if (Math.abs(difference - expected) <= tolerance * Math.abs(expected) + noise) return;
  }
  assert.fail(`along the gradient by ${name} the loss rises by ${expected}, by differences ${tried.join(', ')}`);
}

/** The sum of all float32 outputs, each element by a random number of its own. */
function weightedSum(model: Model): Loss {
  return ({ builder, shapeOf }) => {
    const terms = model.graph.outputs.flatMap(({ name, type }) => {
      if (type.kind !== 'tensor' || type.elemType !== DATA_TYPE.float32) return [];
      const shape = shapeOf(name);
      const random = new Random(1).fork(name);
      const weight = builder.weight(`weight of ${name}`, shape, () =>
        random.fillUniform(new Float32Array(elementCount(shape)), -1, 1),
      );
      return [builder.node('ReduceSum', [builder.node('Mul', [name, weight])], { keepdims: 0 })];
    });
    return terms.reduce((sum, term) => builder.node('Add', [sum, term]));
  };
}

function inputsOf(
  session: ModelSession,
  weights: ReadonlyMap<string, DenseTensor>,
  given: readonly NamedTensor[] = [],
): readonly NamedTensor[] {
  return madeUpInputs(session.inputs).map(
    (made) =>
      given.find(({ name }) => name === made.name) ?? {
        ...made,
        tensor: weights.get(made.name) ?? made.tensor,
      },
  );
}

function scattered(
  shape: readonly number[],
  parts: readonly { readonly indices: string; readonly rows: string }[],
  results: ReadonlyMap<string, DenseTensor>,
): Float32Array {
  const table = new Float32Array(elementCount(shape));
  const width = table.length / (shape[0] as number);
  for (const { indices, rows } of parts) {
    const ids = results.get(indices);
    assert.ok(ids?.dtype === 'int64', `${indices} is given, as int64`);
    const values = float32Values(results.get(rows) as DenseTensor);
    for (const [i, id] of [...new BigInt64Array(new Uint8Array(ids.data).buffer)].entries()) {
      const row = Number(id) < 0 ? Number(id) + (shape[0] as number) : Number(id);
      for (let k = 0; k < width; k++)
        table[row * width + k] = (table[row * width + k] as number) + (values[i * width + k] as number);
    }
  }
  return table;
}

/** Some of a list, from its first to its last. */
function spread(list: readonly string[], count: number): readonly string[] {
  if (list.length <= count) return list;
  return Array.from(
    { length: count },
    (_, i) => list[Math.round((i * (list.length - 1)) / Math.max(1, count - 1))] as string,
  );
}

/** A direction of length 1: half the gradient's, half a random one. */
function mixed(gradient: Float32Array, random: Random): Float32Array {
  const noise = random.fillUniform(new Float32Array(gradient.length), -1, 1);
  const [a, b] = [norm(gradient) || 1, norm(noise)];
  const sum = gradient.map((value, i) => value / a + (noise[i] as number) / b);
  const length = norm(sum);
  return sum.map((value) => value / length);
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
}

function norm(a: Float32Array): number {
  return Math.sqrt(dot(a, a));
}
