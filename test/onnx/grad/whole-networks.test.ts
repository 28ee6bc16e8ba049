import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Loss, trainingGraph } from '../../../onnx/grad/training-graph.js';
import { initializerTensor } from '../../../onnx/initializer.js';
import type { Model } from '../../../onnx/model.js';
import { openModel } from '../../../onnx/runtime/session.js';
import {
  type DenseTensor,
  elementCount,
  float32Tensor,
  float32Values,
  type NamedTensor,
} from '../../../onnx/tensor.js';
import { architecture } from '../../../workloads/zoo/architectures.js';
import { readFixture } from './support/fixture.js';

/** A training step of a whole network in PyTorch: bench/peers/grad_networks.py, which makes weights and pictures so too. */
interface Step {
  readonly pictures: readonly [number, number, number, number];
  readonly classes: number;
  readonly loss: number;
  /** By parameter: the gradient's length, and what it is along two directions. */
  readonly gradients: Readonly<Record<string, { readonly length: number; readonly along: readonly number[] }>>;
}

const steps = readFixture<Readonly<Record<string, Step>>>('networks.json.gz');

/** In parts of a gradient's length. PyTorch's own float32 is off its double precision by 3e-6 and 2e-2. */
const TOLERANCES = { resnet20: 1e-4, mobilenet_v2: 2e-2 };

for (const [name, tolerance] of Object.entries(TOLERANCES)) {
  for (const layout of ['plain', 'fastest'] as const) {
    test(`a step of ${name} is PyTorch's, layout ${layout}`, async () => {
      const step = steps[name] as Step;
      const { pictures, classes } = step;
      const weights = Object.keys(step.gradients);
      const { model, parameters } = architecture(name).build(
        (parameter) => () => weight(parameter.name, parameter.shape),
        { classes, imageSize: pictures[2] },
      );
      assert.deepEqual(parameters.flatMap((each) => (each.buffer ? [] : [each.name])).sort(), [...weights].sort());
      const run = await oneStep(model, { weights, pictures, classes, layout });
      assert.ok(Math.abs(run.loss - step.loss) <= 1e-4 * step.loss, `the loss is ${run.loss}, in PyTorch ${step.loss}`);
      const largest = Math.max(...Object.values(step.gradients).map(({ length }) => length));
      for (const [parameter, { length, along }] of Object.entries(step.gradients)) {
        const gradient = run.gradients.get(parameter) as Float32Array;
        // A bias before a normalisation has none but what rounding leaves.
        const allowed = tolerance * Math.max(length, 1e-4 * largest);
        const near = (what: string, actual: number, expected: number, size = 1): void => {
          const message = `${what} of the gradient by ${parameter}: ${actual}, in PyTorch ${expected}`;
          assert.ok(Math.abs(actual - expected) <= allowed * size, message);
        };
        near('length', Math.sqrt(dot(gradient, gradient)), length);
        for (const [i, expected] of along.entries()) {
          const direction = noise(`${parameter} ${i + 1}`, gradient.length);
          near(`direction ${i + 1}`, dot(gradient, direction), expected, Math.sqrt(dot(direction, direction)));
        }
      }
    });
  }
}

interface StepOptions {
  readonly weights: readonly string[];
  readonly pictures: readonly [number, number, number, number];
  readonly classes: number;
  readonly layout: 'plain' | 'fastest';
}

async function oneStep(model: Model, { weights, pictures, classes, layout }: StepOptions) {
  const [batch] = pictures;
  const graph = await trainingGraph(model, { batch, weights, batchNorm: 'batch', loss: crossEntropy, layout });
  const targets = new Float32Array(batch * classes);
  for (let item = 0; item < batch; item++) targets[item * classes + (item % classes)] = 1;
  const values = new Map(model.graph.initializers.map((each) => [each.name, each]));
  const feeds: NamedTensor[] = [
    { name: 'input', tensor: float32Tensor(pictures, noise('input', elementCount(pictures))) },
    { name: 'targets', tensor: float32Tensor([batch, classes], targets) },
    ...weights.map((name) => ({ name, tensor: initializerTensor(values.get(name) as never) as DenseTensor })),
  ];
  const session = await openModel(graph.model, { threads: 1, spinning: false, planMemory: false });
  try {
    const results = new Map((await session.run(feeds)).map(({ name, tensor }) => [name, tensor as DenseTensor]));
    const gradients = new Map<string, Float32Array>();
    for (const [name, gradient] of graph.gradients) {
      assert.ok(gradient.kind === 'dense');
      gradients.set(name, float32Values(results.get(gradient.tensor) as DenseTensor).slice());
    }
    return { loss: float32Values(results.get(graph.loss) as DenseTensor)[0] as number, gradients };
  } finally {
    await session.close();
  }
}

/** -sum(targets * log softmax(logits)) / batch */
const crossEntropy: Loss = ({ builder, batch, shapeOf }) => {
  const targets = builder.input('targets', 'float32', shapeOf('logits'));
  const product = builder.node('Mul', [builder.node('LogSoftmax', ['logits']), targets]);
  return builder.node('Mul', [builder.node('ReduceSum', [product], { keepdims: 0 }), builder.float32(-1 / batch)]);
};

function weight(name: string, shape: readonly number[]): Float32Array {
  const values = noise(name, elementCount(shape));
  if (shape.length > 1) {
    const bound = Math.sqrt(6 / elementCount(shape.slice(1)));
    return values.map((value) => bound * value);
  }
  // Running averages are not looked at.
  const middle = name.endsWith('bias') ? 0 : 1;
  return values.map((value) => middle + 0.25 * value);
}

/** Numbers from -1 to 1, by the name and the place. */
function noise(name: string, count: number): Float32Array {
  let seed = 2166136261;
  for (const byte of Buffer.from(name, 'utf8')) seed = Math.imul(seed ^ byte, 16777619);
  return Float32Array.from({ length: count }, (_, i) => {
    let x = (Math.imul(i, 2654435761) + seed) >>> 0;
    for (let round = 0; round < 2; round++) x = Math.imul(x ^ (x >>> 16), 0x45d9f3b) >>> 0;
    x = (x ^ (x >>> 16)) >>> 0;
    return x / 2 ** 31 - 1;
  });
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
}
