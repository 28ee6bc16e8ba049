import assert from 'node:assert/strict';
import test from 'node:test';
import { Random } from '../../../base/random.js';
import { type Attributes, float, GraphBuilder, type Value } from '../../../onnx/build.js';
import { encodeModel } from '../../../onnx/encode.js';
import type { Model } from '../../../onnx/model.js';
import { affineFolding } from '../../../onnx/passes/affine-folding.js';
import { decodeModel } from '../../../onnx/read.js';
import { elementCount, float32Tensor } from '../../../onnx/tensor.js';
import { relativeDifference } from '../../support/closeness.js';
import { runModel, seededInputs } from '../../support/run-model.js';

/** A builder with random weights. */
class Weights extends GraphBuilder {
  readonly #random = new Random(5);
  #count = 0;

  constructor() {
    super({ name: 'g' });
  }

  random(shape: readonly number[], low = -1, high = 1): Value {
    const values = this.#random.fillUniform(new Float32Array(elementCount(shape)), low, high);
    return this.initializer(`w${this.#count++}`, float32Tensor(shape, values));
  }

  norm(x: Value, channels: number, name: string, attributes: Attributes = {}): Value {
    const stats = [-1, -1, -1, 0.5].map((low) => this.random([channels], low, 2));
    return this.node('BatchNormalization', [x, ...stats], { epsilon: float(0.01), ...attributes }, name);
  }
}

const IMAGE = ['N', 4, 6, 6];

/** Folds a model, holds its outputs to those of the original, and gives the names of the nodes that are left. */
async function left(model: Model): Promise<string[]> {
  const folded = (await affineFolding.run(model)) as Model;
  decodeModel(encodeModel(folded));
  const feeds = seededInputs(model, { N: 2 });
  const difference = relativeDifference(await runModel(model, feeds), await runModel(folded, feeds));
  assert.ok(difference <= 1e-6, `differs by ${difference}`);
  return folded.graph.nodes.map(({ name }) => name);
}

const LAYERS: Readonly<Record<string, (g: Weights, x: Value) => Value>> = {
  Conv: (g, x) => g.node('Conv', [x, g.random([6, 4, 3, 3])], { pads: [1, 1, 1, 1] }, 'layer'),
  'Conv with bias, in groups': (g, x) =>
    g.node('Conv', [x, g.random([6, 2, 3, 3]), g.random([6])], { group: 2, strides: [2, 2] }, 'layer'),
  ConvTranspose: (g, x) => g.node('ConvTranspose', [x, g.random([4, 6, 3, 3])], { strides: [2, 2] }, 'layer'),
  'ConvTranspose with bias, in groups': (g, x) =>
    g.node('ConvTranspose', [x, g.random([4, 3, 2, 2]), g.random([6])], { group: 2 }, 'layer'),
};

test('what scales and shifts channels behind a layer goes into its weights, one after the other', async () => {
  for (const [name, layer] of Object.entries(LAYERS)) {
    const g = new Weights();
    let y = layer(g, g.input('x', 'float32', IMAGE));
    y = g.norm(y, 6, 'norm');
    y = g.node('Mul', [g.random([6, 1, 1]), y], {}, 'mul');
    y = g.node('Add', [y, g.random([1, 6, 1, 1])], {}, 'add');
    y = g.node('Sub', [y, g.random([])], {}, 'sub');
    g.output(g.node('Div', [y, g.random([1], 1, 2)], {}, 'div'), 'float32');
    assert.deepEqual(await left(g.build()), ['layer'], name);
  }
});

test('a BatchNormalization before a layer goes into its weights where nothing is padded', async () => {
  const build = (attributes: Attributes, weight = [6, 2, 3, 3]) => {
    const g = new Weights();
    const x = g.norm(g.norm(g.input('x', 'float32', IMAGE), 4, 'first'), 4, 'second');
    g.output(g.node('Conv', [x, g.random(weight), g.random([6])], { group: 2, ...attributes }, 'layer'), 'float32');
    return g.build();
  };
  assert.deepEqual(await left(build({})), ['layer']);
  assert.deepEqual(await left(build({ auto_pad: 'VALID', strides: [2, 2] })), ['layer']);
  assert.deepEqual(await left(build({ pads: [0, 1, 0, 0] })), ['first', 'second', 'layer']);
  assert.deepEqual(await left(build({ auto_pad: 'SAME_UPPER' })), ['first', 'second', 'layer']);
});

test('Gemm takes them on both sides, however its matrices are turned and scaled', async () => {
  for (const transB of [0, 1]) {
    for (const bias of [undefined, [], [5], [1, 5], [1, 1]]) {
      const g = new Weights();
      const x = g.norm(g.input('x', 'float32', ['N', 3]), 3, 'before');
      const inputs = [x, g.random(transB ? [5, 3] : [3, 5]), bias && g.random(bias)];
      const y = g.node('Gemm', inputs, { transB, alpha: float(0.5), beta: float(2) }, 'layer');
      g.output(g.node('Mul', [g.norm(y, 5, 'behind'), g.random([5])], {}, 'mul'), 'float32');
      assert.deepEqual(await left(g.build()), ['layer'], `${transB} ${bias}`);
    }
  }
  // A bias that differs from row to row is none of the channels'.
  for (const bias of [
    [5, 5],
    [5, 1],
  ]) {
    const g = new Weights();
    const y = g.node('Gemm', [g.input('x', 'float32', [5, 3]), g.random([3, 5]), g.random(bias)], {}, 'layer');
    g.output(g.norm(y, 5, 'behind'), 'float32');
    assert.deepEqual(await left(g.build()), ['layer', 'behind']);
  }
});

test('nothing is folded that something else sees, or that is not the same for a whole channel', async () => {
  const kept: Readonly<Record<string, (g: Weights, y: Value) => void>> = {
    'an output': (g, y) => {
      g.output(y, 'float32');
      g.output(g.norm(y, 6, 'next'), 'float32');
    },
    'used twice': (g, y) => void g.output(g.node('Add', [g.norm(y, 6, 'next'), y], {}, 'sum'), 'float32'),
    'used in a graph inside': (g, y) => {
      const b = new GraphBuilder({ name: 'b' });
      b.output(b.node('Relu', [b.float32(1)], {}, 'inner'), 'float32');
      const inner = b.buildGraph();
      const then_branch = { ...inner, nodes: inner.nodes.map((node) => ({ ...node, inputs: [y] })) };
      const flag = g.initializer('flag', { dtype: 'bool', shape: [], data: Uint8Array.of(1) });
      const branches = { then_branch, else_branch: { ...then_branch, name: 'c' } };
      g.output(g.node('Add', [g.norm(y, 6, 'next'), g.node('If', [flag], branches, 'if')], {}, 'sum'), 'float32');
    },
    'along the width': (g, y) => void g.output(g.node('Mul', [y, g.random([4])], {}, 'next'), 'float32'),
    'each element': (g, y) => void g.output(g.node('Add', [y, g.random([6, 4, 4])], {}, 'next'), 'float32'),
    'a further axis': (g, y) => void g.output(g.node('Add', [y, g.random([1, 1, 6, 1, 1])], {}, 'next'), 'float32'),
    'divided the other way': (g, y) => void g.output(g.node('Div', [g.random([6, 1, 1]), y], {}, 'next'), 'float32'),
    'no constant': (g, y) =>
      void g.output(g.node('Mul', [y, g.input('s', 'float32', [6, 1, 1])], {}, 'next'), 'float32'),
    infinite: (g, y) => {
      const zero = g.initializer('nought', float32Tensor([], Float32Array.of(0)));
      void g.output(g.node('Relu', [g.node('Div', [y, zero], {}, 'next')], {}, 'relu'), 'float32');
    },
  };
  for (const [why, finish] of Object.entries(kept)) {
    const g = new Weights();
    finish(g, g.node('Conv', [g.input('x', 'float32', IMAGE), g.random([6, 4, 3, 3])], {}, 'layer'));
    const model = g.build();
    assert.equal(await affineFolding.run(model), model, why);
  }
});

test('weights that several nodes share are copied, not changed', async () => {
  const g = new Weights();
  const x = g.input('x', 'float32', IMAGE);
  const [w, b] = [g.random([4, 4, 1, 1]), g.random([4])];
  const first = g.norm(g.node('Conv', [x, w, b], {}, 'first'), 4, 'norm');
  const second = g.node('Conv', [g.node('Relu', [first], {}, 'relu'), w, b], {}, 'second');
  g.output(second, 'float32');
  g.output(w, 'float32');
  const model = g.build();
  assert.deepEqual(await left(model), ['first', 'relu', 'second']);
  const folded = (await affineFolding.run(model)) as Model;
  assert.deepEqual(folded.graph.nodes[0]?.inputs, ['x', 'w0_folded', 'w1_folded']);
  assert.deepEqual(folded.graph.nodes[2]?.inputs, ['relu', 'w0', 'w1']);
});

test('a BatchNormalization that trains stays', async () => {
  const g = new Weights();
  const y = g.node('Conv', [g.input('x', 'float32', IMAGE), g.random([6, 4, 3, 3])], {}, 'layer');
  const stats = [-1, -1, -1, 0.5].map((low) => g.random([6], low, 2));
  const outputs = ['norm', 'mean', 'var'];
  const [norm = ''] = g.nodeWithOutputs('BatchNormalization', [y, ...stats], outputs, { training_mode: 1 }, 'norm');
  g.output(norm, 'float32');
  const model = g.build();
  assert.equal(await affineFolding.run(model), model);
});
