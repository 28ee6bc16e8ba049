import assert from 'node:assert/strict';
import { test } from 'node:test';
import { float, GraphBuilder } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';
import { type DenseTensor, float32Tensor } from '../../../onnx/tensor.js';
import { writeQdq } from '../../../operators/quantise/graph/qdq.js';
import { writeQOperator } from '../../../operators/quantise/graph/qoperator.js';
import { kernels } from './kernels.js';
import { planned } from './measure.js';
import { picture, text } from './own-workload.js';
import { noise, outputs } from './runs.js';
import { smallCnn, smallTransformer, weights } from './small-graphs.js';

const pictures = Array.from({ length: 6 }, (_, i) => picture(i));
const texts = Array.from({ length: 6 }, (_, i) => text(i));
const named = (name: string, tensors: readonly DenseTensor[]) => tensors.map((tensor) => [{ name, tensor }]);

const DEFAULT = { perChannel: true, reduceRange: false };
const OPTIONS = [DEFAULT, { perChannel: false, reduceRange: false }, { perChannel: true, reduceRange: true }];

for (const [name, build, input, items] of [
  ['a CNN', smallCnn, 'x', pictures],
  ['a transformer', smallTransformer, 'ids', texts],
] as const) {
  for (const activations of ['uint8', 'int8'] as const) {
    test(`${name} in ${activations}: QDQ as written, QDQ as fused and QOperator agree, near the float model`, async () => {
      const model = build();
      const { plan, ranges } = await planned(model, named(input, items), activations);
      const exact = await outputs(model, input, items, false);
      for (const options of OPTIONS) {
        const qdq = writeQdq(plan, ranges, options);
        const literal = await outputs(qdq, input, items, false);
        const fused = await outputs(qdq, input, items, true);
        const operators = await outputs(writeQOperator(plan, ranges, options), input, items, true);
        assert.ok(noise(exact, literal) < 0.03, `${noise(exact, literal)}`);
        // Rounding of products at a half may fall to either side: single steps of inner tensors.
        assert.ok(noise(literal, fused) < 0.005, `${noise(literal, fused)}`);
        assert.ok(noise(literal, operators) < 0.005, `${noise(literal, operators)}`);
      }
    });
  }
}

test('every node of a CNN becomes an int8 kernel, in both formats', async () => {
  const { plan, ranges } = await planned(smallCnn(), named('x', pictures));
  for (const model of [writeQdq(plan, ranges, DEFAULT), writeQOperator(plan, ranges, DEFAULT)]) {
    const found = await kernels(model);
    assert.deepEqual(found, {
      ...{ QuantizeLinear: 1, Transpose: 2, QLinearConv: 6, QLinearAdd: 1, NhwcMaxPool: 1, QLinearConcat: 1 },
      ...{ QLinearAveragePool: 1, QLinearGlobalAveragePool: 1, Flatten: 1, QGemm: 1 },
    });
  }
});

test('every product of a transformer becomes an int8 kernel that gives float', async () => {
  const { plan, ranges } = await planned(smallTransformer(), named('ids', texts));
  for (const model of [writeQdq(plan, ranges, DEFAULT), writeQOperator(plan, ranges, DEFAULT)]) {
    const found = await kernels(model);
    const products = (found.MatMulIntegerToFloat ?? 0) + (found.QLinearMatMul ?? 0);
    assert.equal(products, 9, JSON.stringify(found));
    assert.equal(found.MatMul, undefined);
  }
});

test('int8 activations in the QOperator format leave nothing in float', async () => {
  const { plan, ranges } = await planned(smallCnn(), named('x', pictures), 'int8');
  const found = await kernels(writeQOperator(plan, ranges, DEFAULT));
  assert.deepEqual([found.QLinearConv, found.QLinearLeakyRelu, found.DequantizeLinear], [6, 4, undefined]);
});

/** Quantises a graph of one input and compares both formats with the float model and with each other. */
async function bothFormats(model: Model, items: readonly DenseTensor[], bound = 0.03): Promise<Model[]> {
  const { plan, ranges } = await planned(model, named('x', items));
  const exact = await outputs(model, 'x', items, false);
  const models = [writeQdq(plan, ranges, DEFAULT), writeQOperator(plan, ranges, DEFAULT)];
  for (const made of models) {
    const found = await outputs(made, 'x', items);
    assert.ok(noise(exact, found) < bound, `${noise(exact, found)}`);
  }
  return models;
}

test('nodes that pass elements on share one scale with what they take', async () => {
  const g = new GraphBuilder({ name: 'passes' });
  const x = g.input('x', 'float32', [1, 3, 16, 16]);
  const conv = g.node('Conv', [x, weights(g, 'w', [4, 3, 1, 1])], {}, 'conv');
  const [a, b] = g.nodeWithOutputs('Split', [conv, g.int64([1, 3])], ['a', 'b'], { axis: 1 });
  const padded = g.node('Pad', [a, g.int64([0, 1, 0, 0, 0, 1, 0, 0])], {}, 'padded');
  const moved = g.node('Transpose', [b], { perm: [0, 1, 3, 2] }, 'moved');
  const both = g.node('Add', [padded, moved], {}, 'both');
  const cut = g.node('Slice', [both, g.int64([0]), g.int64([8]), g.int64([2])], {}, 'cut');
  const scales = g.float32([1, 1, 2, 2]);
  const larger = g.node('Resize', [cut, undefined, scales], { mode: 'nearest' }, 'larger');
  const last = g.node('Conv', [larger, weights(g, 'v', [2, 3, 1, 1])], {}, 'last');
  g.output(g.node('Reshape', [last, g.int64([1, -1])], {}, 'flat'), 'float32', [1, 1024]);
  for (const made of await bothFormats(g.build(), pictures)) {
    const found = await kernels(made);
    const unfused = ['Conv', 'Add'].filter((type) => found[type]);
    assert.deepEqual(unfused, [], JSON.stringify(found));
    assert.equal(found.QuantizeLinear, 1, JSON.stringify(found));
    assert.equal(found.DequantizeLinear, 1, JSON.stringify(found));
  }
});

test('inner outputs, and tensors that a subgraph uses, keep their names and are float', async () => {
  const then = new GraphBuilder({ name: 'then' });
  const branch = (op: string, name: string) => ({
    ...then.buildGraph(),
    ...{ name, nodes: [{ name, opType: op, domain: '', inputs: ['relu'], outputs: [name], attributes: [] }] },
    outputs: [{ name, docString: '', metadataProps: [], type: { kind: 'tensor', elemType: 1, shape: undefined } }],
  });
  const g = new GraphBuilder({ name: 'captures' });
  const x = g.input('x', 'float32', [1, 3, 16, 16]);
  const conv = g.node('Conv', [x, weights(g, 'w', [4, 3, 1, 1])], {}, 'conv');
  const relu = g.node('Relu', [conv], {}, 'relu');
  const next = g.node('Conv', [relu, weights(g, 'v', [4, 4, 1, 1])], {}, 'next');
  const yes = g.initializer('yes', { dtype: 'bool', shape: [], data: Uint8Array.of(1) });
  const withNodes = (name: string, op: string) => {
    const graph = branch(op, name);
    const nodes = graph.nodes.map((node) => ({ ...node, docString: '', overload: '', metadataProps: [] }));
    return { ...graph, nodes } as never;
  };
  const either = g.node(
    'If',
    [yes],
    { then_branch: withNodes('n', 'Neg'), else_branch: withNodes('m', 'Abs') },
    'either',
  );
  g.output(g.node('Add', [next, either], {}, 'sum'), 'float32', [1, 4, 16, 16]);
  g.output(relu, 'float32', [1, 4, 16, 16]);
  await bothFormats(g.build(), pictures);
});

test('a Gemm computes what its steps say, worked out by hand', async () => {
  const g = new GraphBuilder({ name: 'gemm' });
  const x = g.input('x', 'float32', [1, 2]);
  const w = g.initializer('w', float32Tensor([2, 2], Float32Array.of(0.5, -0.15, 0.25, 63.5)));
  const b = g.initializer('b', float32Tensor([2], Float32Array.of(0.25, -1)));
  g.output(g.node('Gemm', [x, w, b], { alpha: float(2), beta: float(2) }, 'y'), 'float32', [1, 2]);
  const { plan } = await planned(g.build(), named('x', [float32Tensor([1, 2], Float32Array.of(-1, 1.55))]));
  // Range [-1, 1.55]: steps of 0.01, zero at 100. Columns, doubled by alpha, have steps of 1/127 and 1.
  const ranges = new Map([['x', { min: -1, max: 1.55 }]]);
  const given = Float32Array.of(0.337, -0.452);
  const [found] = await outputs(writeQdq(plan, ranges, DEFAULT), 'x', [float32Tensor([1, 2], given)]);
  const [x0, x1] = [0.34, -0.45];
  // 0.5 is 63.5 steps, which is rounded to 64; -0.3 is 0 of the steps of 127.
  const want = [x0 + x1 * (64 / 127) + 0.5, x1 * 127 - 2];
  want.forEach((value, i) => {
    // The bias has steps of the products.
    assert.ok(Math.abs((found?.[i] as number) - value) < 0.01 * (i === 0 ? 1 / 127 : 1), `${found?.[i]} ${value}`);
  });
});
