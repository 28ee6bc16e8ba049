import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraphBuilder, type Value } from '../../../onnx/build.js';
import { type LossContext, trainingGraph } from '../../../onnx/grad/training-graph.js';
import type { Model } from '../../../onnx/model.js';
import { openModel } from '../../../onnx/runtime/session.js';
import { float32Tensor, float32Values } from '../../../onnx/tensor.js';
import { assertDifferences, type Feeds } from './support/differences.js';
import { assertNear, elementsOf, readFixture, type Stored } from './support/fixture.js';

/** A training step of a small network in PyTorch: `network` of bench/peers/grad_reference.py. */
interface Network {
  readonly inputs: Readonly<Record<'x' | 'targets', Stored>>;
  readonly weights: Readonly<Record<string, Stored>>;
  readonly loss: number;
  readonly gradients: Readonly<Record<string, Stored>>;
  readonly statistics: Readonly<Record<string, Stored>>;
}

const network = readFixture<Network>('network.json.gz');
const normalisations = ['bn1', 'bn2', 'bn3'];

/** The same network as a model for inference, of an opset before that of training graphs. */
function model(): Model {
  const g = new GraphBuilder({ name: 'network', opset: 13 });
  const weight = (name: string): Value => {
    const stored = network.weights[name] as Stored;
    return g.initializer(name, float32Tensor(stored.shape, elementsOf(stored)));
  };
  const normalised = (name: string, x: Value): Value => {
    const running = ['mean', 'var'].map((each) =>
      g.initializer(`${name}.running_${each}`, float32Tensor([8], new Float32Array(8).fill(each === 'var' ? 1 : 0))),
    );
    return g.node('BatchNormalization', [x, weight(`${name}.weight`), weight(`${name}.bias`), ...running], {}, name);
  };
  const pads = [1, 1, 1, 1];
  const x = g.input('x', 'float32', ['N', 3, 9, 8]);
  const stem = g.node('Relu', [normalised('bn1', g.node('Conv', [x, weight('stem.weight')], { pads }))]);
  const pooled = g.node('MaxPool', [stem], { kernel_shape: [3, 3], strides: [2, 2], pads });
  const depthwise = g.node('Conv', [pooled, weight('depthwise.weight')], { pads, group: 8 });
  const clipped = g.node('Clip', [normalised('bn2', depthwise), g.float32(0), g.float32(6)]);
  const branch = normalised('bn3', g.node('Conv', [clipped, weight('pointwise.weight')]));
  const mean = g.node('GlobalAveragePool', [g.node('Relu', [g.node('Add', [pooled, branch])])]);
  const inputs = [g.node('Flatten', [mean]), weight('fc.weight'), weight('fc.bias')];
  g.output(g.node('Gemm', inputs, { transB: 1 }, 'scores'), 'float32');
  return g.build();
}

/** -sum(targets * log softmax(scores)) / batch */
function crossEntropy({ builder, batch, shapeOf }: LossContext): Value {
  const targets = builder.input('targets', 'float32', shapeOf('scores'));
  const product = builder.node('Mul', [builder.node('LogSoftmax', ['scores']), targets]);
  const total = builder.node('ReduceSum', [product, builder.int64([0, 1])], { keepdims: 0 });
  return builder.node('Mul', [total, builder.float32(-1 / batch)], {}, 'loss');
}

const feeds: Feeds = Object.fromEntries(
  [...Object.entries(network.inputs), ...Object.entries(network.weights)].map(([name, stored]) => [
    name,
    float32Tensor(stored.shape, elementsOf(stored)),
  ]),
);

test("one training step gives PyTorch's loss, gradients and statistics of the batch", async () => {
  const weights = Object.keys(network.weights);
  const graph = await trainingGraph(model(), { batch: 6, weights, batchNorm: 'batch', loss: crossEntropy });
  const session = await openModel(graph.model, { threads: 1, spinning: false });
  const run = async (given: Feeds): Promise<ReadonlyMap<string, Float32Array>> => {
    const results = await session.run(Object.entries(given).map(([name, tensor]) => ({ name, tensor })));
    return new Map(results.map(({ name, tensor }) => [name, float32Values(tensor)]));
  };
  try {
    const results = await run(feeds);
    const loss = results.get(graph.loss)?.[0] as number;
    assert.ok(Math.abs(loss - network.loss) < 1e-5, `the loss is ${loss}, in PyTorch ${network.loss}`);
    const gradients = new Map(
      weights.map((name) => {
        const gradient = graph.gradients.get(name);
        assert.equal(gradient?.kind, 'dense', `${name} has a gradient`);
        return [name, results.get((gradient as { tensor: Value }).tensor) as Float32Array];
      }),
    );
    for (const [name, gradient] of gradients)
      assertNear(`the gradient by ${name}`, gradient, network.gradients[name] as Stored);
    assert.deepEqual(
      graph.statistics.map(({ mean }) => mean),
      normalisations.map((name) => `${name}.running_mean`),
    );
    for (const [i, name] of normalisations.entries()) {
      const { batchMean, batchVariance, count } = graph.statistics[i] as (typeof graph.statistics)[number];
      assertNear(`mean of ${name}`, results.get(batchMean), network.statistics[`${name}.mean`] as Stored);
      assertNear(`variance of ${name}`, results.get(batchVariance), network.statistics[`${name}.variance`] as Stored);
      assert.equal(count, i === 0 ? 6 * 9 * 8 : 6 * 5 * 4);
    }
    const lossOf = async (given: Feeds): Promise<number> => (await run(given)).get(graph.loss)?.[0] as number;
    // Small steps, for the network has many kinks; float32 then leaves fewer digits.
    await assertDifferences(lossOf, feeds, gradients, { step: 1 / 128, elements: 6, tolerance: 5e-3 });
  } finally {
    await session.close();
  }
});

test('with frozen normalisations there are no statistics of the batch', async () => {
  const weights = ['stem.weight', 'fc.bias'];
  const graph = await trainingGraph(model(), { batch: 6, weights, batchNorm: 'frozen', loss: crossEntropy });
  assert.deepEqual(graph.statistics, []);
  assert.deepEqual([...graph.gradients.keys()].sort(), [...weights].sort());
  assert.ok(!graph.model.graph.nodes.some(({ opType }) => opType === 'ReduceMean'));
});

test('a length that nobody gave is asked for, by the key that gives it', async () => {
  for (const [dim, fix] of [
    ['sequence', /dims: \{ sequence: 128 \}/],
    [undefined, /a number or a name/],
  ] as const) {
    const g = new GraphBuilder({ name: 'text', opset: 18 });
    const x = g.input('x', 'float32', ['N', dim]);
    g.output(g.node('MatMul', [x, g.weight('w', [1, 2], () => new Float32Array(2))]), 'float32', ['N', 2]);
    const loss = () => 'unused';
    await assert.rejects(trainingGraph(g.build(), { batch: 2, weights: ['w'], batchNorm: 'frozen', loss }), {
      ...{ kind: 'invalid', fix },
      message: /dimension 1 of input x \((sequence|unknown)\) has no number/,
    });
  }
});
