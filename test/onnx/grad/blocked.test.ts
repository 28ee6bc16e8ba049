import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { GraphBuilder, type Value } from '../../../onnx/build.js';
import { trainableWeights } from '../../../onnx/grad/trainable.js';
import { trainingGraph } from '../../../onnx/grad/training-graph.js';
import { initializerTensor } from '../../../onnx/initializer.js';
import type { Model } from '../../../onnx/model.js';
import { blockSize } from '../../../onnx/runtime/block-size.js';
import { openModel } from '../../../onnx/runtime/session.js';
import { type DenseTensor, elementCount, float32Tensor, float32Values } from '../../../onnx/tensor.js';

interface Convolution {
  readonly from: number;
  readonly to: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly groups?: number;
  readonly bias?: boolean;
  readonly norm?: boolean;
}

/** Builds small networks with random weights. */
class Net {
  readonly g = new GraphBuilder({ name: 'net', opset: 18 });
  readonly #random = new Random(5);

  weight(name: string, shape: readonly number[], low: number, high: number): Value {
    return this.g.weight(name, shape, () =>
      this.#random.fork(name).fillUniform(new Float32Array(elementCount(shape)), low, high),
    );
  }

  convolution(x: Value, name: string, given: Convolution): Value {
    const { from, to, kernel, stride = 1, groups = 1, bias = false, norm = true } = given;
    const pad = (kernel - 1) / 2;
    const range = Math.sqrt(6 / ((from / groups) * kernel * kernel));
    const inputs = [x, this.weight(`${name}.weight`, [to, from / groups, kernel, kernel], -range, range)];
    if (bias) inputs.push(this.weight(`${name}.bias`, [to], -0.5, 0.5));
    const y = this.g.node('Conv', inputs, {
      ...{ kernel_shape: [kernel, kernel], strides: [stride, stride], pads: [pad, pad, pad, pad], group: groups },
    });
    if (!norm) return y;
    const channels = (['scale', 'shift', 'mean', 'variance'] as const).map((what) =>
      this.weight(`${name}.${what}`, [to], what === 'scale' || what === 'variance' ? 0.8 : -0.1, 1.2),
    );
    return this.g.node('BatchNormalization', [y, ...channels]);
  }

  relu(x: Value): Value {
    return this.g.node('Relu', [x]);
  }

  clip(x: Value): Value {
    return this.g.node('Clip', [x, this.g.float32(0), this.g.float32(1)]);
  }

  /** Three classes from the mean over places. */
  end(x: Value, channels: number): Model {
    const { g } = this;
    const flat = g.node('Flatten', [g.node('GlobalAveragePool', [x])], { axis: 1 });
    const inputs = [flat, this.weight('fc.weight', [3, channels], -0.5, 0.5), this.weight('fc.bias', [3], -0.1, 0.1)];
    g.output(g.node('Gemm', inputs, { transB: 1 }, 'logits'), 'float32', ['N', 3]);
    return g.build();
  }
}

/** The loss and all gradients of one step, by weight. */
async function step(model: Model, batch: number, layout: 'plain' | 'fastest', batchNorm: 'batch' | 'frozen') {
  const weights = trainableWeights(model);
  const graph = await trainingGraph(model, {
    ...{ batch, weights, batchNorm, layout },
    loss({ builder: g }) {
      const targets = g.input('targets', 'float32', [batch, 3]);
      const squares = g.node('Pow', [g.node('Sub', ['logits', targets]), g.float32(2)]);
      return g.node('ReduceMean', [squares], { keepdims: 0 }, 'loss');
    },
  });
  const taken = new Map(model.graph.initializers.map((each) => [each.name, initializerTensor(each) as DenseTensor]));
  const random = new Random(9);
  const session = await openModel(graph.model, { threads: 1 });
  try {
    const inputs = session.inputs.map(({ name, shape }) => {
      const sizes = shape as readonly number[];
      const values = random.fork(name).fillUniform(new Float32Array(elementCount(sizes)), -1, 1);
      return { name, tensor: taken.get(name) ?? float32Tensor(sizes, values) };
    });
    const outputs = new Map((await session.run(inputs)).map(({ name, tensor }) => [name, float32Values(tensor)]));
    const found = new Map([['loss', outputs.get(graph.loss) as Float32Array]]);
    for (const [weight, gradient] of graph.gradients) {
      if (gradient.kind === 'dense') found.set(weight, outputs.get(gradient.tensor) as Float32Array);
    }
    for (const each of graph.statistics) {
      found.set(each.mean, outputs.get(each.batchMean) as Float32Array);
      found.set(each.variance, outputs.get(each.batchVariance) as Float32Array);
    }
    return { found, nodes: graph.model.graph.nodes };
  } finally {
    await session.close();
  }
}

/** Both layouts give the same, and the blocked one is used. */
async function same(model: Model, batch: number, batchNorm: 'batch' | 'frozen' = 'batch'): Promise<void> {
  const [plain, blocked] = [
    await step(model, batch, 'plain', batchNorm),
    await step(model, batch, 'fastest', batchNorm),
  ];
  assert.ok(blocked.nodes.some(({ domain }) => domain === 'com.microsoft.nchwc'));
  assert.ok(plain.nodes.every(({ domain }) => domain !== 'com.microsoft.nchwc'));
  assert.deepEqual([...blocked.found.keys()].sort(), [...plain.found.keys()].sort());
  // A normalisation takes from the gradients by what is before it all that does not change its result: next to nothing
  // may be left of one. What counts is how far it is off beside the others.
  const scale = Math.max(...[...plain.found.values()].flatMap((values) => Array.from(values, Math.abs)));
  for (const [name, expected] of plain.found) {
    const actual = blocked.found.get(name) as Float32Array;
    assert.equal(actual.length, expected.length, name);
    const size = Math.max(1e-3 * scale, ...Array.from(expected, Math.abs));
    const off = Math.max(...Array.from(expected, (value, i) => Math.abs(value - (actual[i] as number))));
    assert.ok(off <= 2e-4 * size, `${name}: off by ${off} of ${size}`);
  }
}

const missing = (await blockSize()) === undefined && 'this processor has no blocked kernels';

test('residual networks have the same gradients in the blocked layout', { skip: missing }, async () => {
  for (const batch of [3, 16]) {
    const net = new Net();
    const { g } = net;
    const x = net.relu(
      net.convolution(g.input('input', 'float32', ['N', 3, 12, 12]), 'stem', { from: 3, to: 16, kernel: 3 }),
    );
    let y = net.relu(net.convolution(x, 'a', { from: 16, to: 32, kernel: 3, stride: 2 }));
    y = net.convolution(y, 'b', { from: 32, to: 32, kernel: 3 });
    const shortcut = net.convolution(x, 'c', { from: 16, to: 32, kernel: 1, stride: 2 });
    y = net.relu(g.node('Add', [y, shortcut]));
    const z = net.convolution(y, 'd', { from: 32, to: 32, kernel: 3 });
    await same(net.end(net.relu(g.node('Add', [y, z])), 32), batch);
  }
});

test('depthwise convolutions have the same gradients in the blocked layout', { skip: missing }, async () => {
  for (const [size, batchNorm] of [
    [14, 'batch'],
    [9, 'batch'],
    [10, 'frozen'],
  ] as const) {
    const net = new Net();
    let x = net.g.input('input', 'float32', ['N', 3, size, size]);
    x = net.clip(net.convolution(x, 'stem', { from: 3, to: 24, kernel: 3, stride: 2 }));
    let y = net.clip(net.convolution(x, 'a', { from: 24, to: 48, kernel: 1 }));
    y = net.clip(net.convolution(y, 'b', { from: 48, to: 48, kernel: 3, groups: 48 }));
    y = net.convolution(y, 'c', { from: 48, to: 24, kernel: 1 });
    y = net.g.node('Add', [x, y]);
    y = net.clip(net.convolution(y, 'd', { from: 24, to: 24, kernel: 3, stride: 2, groups: 24 }));
    await same(net.end(y, 24), 2, batchNorm);
  }
});

test('pictures leave the blocked layout and come back', { skip: missing }, async () => {
  const net = new Net();
  const { g } = net;
  let x = g.input('input', 'float32', ['N', 16, 40, 40]);
  x = g.node('Sigmoid', [net.convolution(x, 'a', { from: 16, to: 32, kernel: 1, bias: true, norm: false })]);
  x = g.node('MaxPool', [x], { kernel_shape: [2, 2], strides: [2, 2] });
  x = net.convolution(x, 'b', { from: 32, to: 8, kernel: 5, stride: 1, bias: true });
  x = net.relu(net.convolution(g.node('Mul', [x, g.float32(0.5)]), 'c', { from: 8, to: 16, kernel: 3, norm: false }));
  await same(net.end(g.node('Concat', [x, x], { axis: 1 }), 32), 2);
});

test('a network without convolutions stays as it is', async () => {
  const net = new Net();
  const x = net.g.input('input', 'float32', ['N', 4, 2, 2]);
  const { nodes } = await step(net.end(net.relu(x), 4), 2, 'fastest', 'batch');
  assert.ok(nodes.every(({ domain }) => domain !== 'com.microsoft.nchwc'));
});
