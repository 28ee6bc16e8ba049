import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TierbedError } from '../../base/errors.js';
import { attributesOf, float, GraphBuilder } from '../../onnx/build.js';
import { DATA_TYPE } from '../../onnx/model.js';
import { float32Tensor } from '../../onnx/tensor.js';

const internal = (pattern: RegExp) => (error: unknown) =>
  error instanceof TierbedError && error.kind === 'internal' && pattern.test(error.message);

function scaled(): GraphBuilder {
  const g = new GraphBuilder({ name: 'scaled' });
  const x = g.input('x', 'float32', ['N', 3]);
  const w = g.weight('scale.weight', [3], () => Float32Array.of(1, 2, 3));
  g.output(g.node('Mul', [x, w], {}, 'scaled'), 'float32', ['N', 3]);
  return g;
}

test('a built model has what was asked for, in order', () => {
  const model = scaled().build();
  assert.equal(model.irVersion, 8);
  assert.deepEqual(model.opsetImport, [{ domain: '', version: 17 }]);
  assert.deepEqual(model.graph.inputs[0]?.type, { kind: 'tensor', elemType: DATA_TYPE.float32, shape: ['N', 3] });
  assert.deepEqual(model.graph.nodes[0]?.inputs, ['x', 'scale.weight']);
  assert.deepEqual(model.graph.nodes[0]?.outputs, ['scaled']);
  assert.deepEqual(
    model.graph.outputs.map((o) => o.name),
    ['scaled'],
  );
  const data = model.graph.initializers[0]?.data;
  assert.ok(data?.kind === 'raw');
  assert.deepEqual(new Float32Array(data.bytes.slice().buffer), Float32Array.of(1, 2, 3));
});

test('a weight is made when its bytes are first read, once, and its count is checked', () => {
  const g = new GraphBuilder({ name: 'lazy' });
  let made = 0;
  g.weight('w', [2], () => {
    made++;
    return Float32Array.of(1, 2);
  });
  g.weight('short', [3], () => Float32Array.of(1));
  g.output('w', 'float32');
  const [w, short] = g.build().graph.initializers;
  assert.deepEqual(w?.dims, [2]);
  assert.equal(made, 0);
  assert.equal(w?.data, w?.data);
  assert.equal(made, 1);
  assert.throws(() => short?.data, internal(/short \[3\] was given 1/));
});

test('names are unique, inputs exist before they are used, and a model has an output', () => {
  const g = scaled();
  assert.throws(() => g.node('Relu', ['x'], {}, 'scaled'), internal(/node scaled already/));
  assert.throws(() => g.input('x', 'float32', []), internal(/tensor x already/));
  assert.throws(() => g.weight('scale.weight', [], () => new Float32Array(1)), internal(/scale.weight already/));
  assert.throws(() => g.nodeWithOutputs('Split', ['x'], ['a', 'a']), internal(/tensor a already/));
  assert.throws(() => g.node('Relu', ['later']), internal(/needs tensor later/));
  assert.throws(() => g.output('later', 'float32'), internal(/needs tensor later/));
  assert.throws(() => new GraphBuilder({ name: 'empty' }).build(), internal(/empty has no output/));
});

test('nodes without a name get free ones, and equal constants are one tensor', () => {
  const g = new GraphBuilder({ name: 'auto' });
  g.input('Relu_0', 'float32', []);
  const first = g.node('Relu', ['Relu_0']);
  const second = g.node('Relu', [first]);
  assert.equal(new Set(['Relu_0', first, second]).size, 3);
  assert.equal(g.int64([0, -1]), g.int64([0, -1]));
  assert.notEqual(g.int64([1]), g.int64(1));
  assert.notEqual(g.int64(0), g.float32(0));
  g.output(second, 'float32');
  const byName = new Map(g.build().graph.initializers.map((i) => [i.name, i]));
  assert.deepEqual(byName.get(g.int64([0, -1]))?.dims, [2]);
  assert.deepEqual(byName.get(g.int64(1))?.dims, []);
});

test('several outputs, optional ones left out, and trailing optional inputs', () => {
  const g = new GraphBuilder({ name: 'several' });
  g.input('x', 'float32', [4]);
  assert.deepEqual(g.nodeWithOutputs('Split', ['x'], 2, { axis: 0 }, 'halves'), ['halves', 'halves.1']);
  g.nodeWithOutputs('TopK', ['x', g.int64([1])], ['', 'best']);
  g.node('Clip', ['x', undefined, g.float32(6)], {}, 'clipped');
  g.node('Resize', ['x', undefined, undefined], {}, 'resized');
  g.output('best', 'int64');
  const inputs = new Map(g.build().graph.nodes.map((n) => [n.name, n.inputs]));
  assert.deepEqual(inputs.get('clipped'), ['x', '', g.float32(6)]);
  assert.deepEqual(inputs.get('resized'), ['x']);
});

test('attributes take their type from the value given', () => {
  const tensor = float32Tensor([1], Float32Array.of(5));
  const graph = scaled().buildGraph();
  const values = attributesOf({
    axis: 1,
    epsilon: 1e-5,
    alpha: float(1),
    pads: [0, 1],
    scales: [0.5, 1],
    mode: 'linear',
    activations: ['Sigmoid', 'Tanh'],
    exclusive: true,
    value: tensor,
    body: graph,
    left: undefined,
  });
  assert.deepEqual(Object.fromEntries(values.map((a) => [a.name, a.value.type])), {
    axis: 'int',
    epsilon: 'float',
    alpha: 'float',
    pads: 'ints',
    scales: 'floats',
    mode: 'string',
    activations: 'strings',
    exclusive: 'int',
    value: 'tensor',
    body: 'graph',
  });
});

test('a builder goes on where a model ends', () => {
  const model = { ...scaled().build(), producerName: 'somebody' };
  const g = GraphBuilder.from(model);
  assert.ok(g.has('scaled') && g.has('scale.weight') && !g.has('other'));
  assert.throws(() => g.node('Relu', ['x'], {}, 'scaled'), internal(/already/));
  g.output(g.node('Relu', ['scaled'], {}, 'relu'), 'float32', ['N', 3]);
  g.useDomain('com.microsoft', 1);
  const longer = g.build();
  assert.equal(longer.producerName, 'somebody');
  assert.deepEqual(
    longer.graph.nodes.map((n) => n.name),
    ['scaled', 'relu'],
  );
  assert.deepEqual(longer.opsetImport, [
    { domain: '', version: 17 },
    { domain: 'com.microsoft', version: 1 },
  ]);
  assert.equal(model.graph.nodes.length, 1);
});

test('a node gives an optional output from when it is asked for', () => {
  const g = new GraphBuilder({ name: 'pooled' });
  const pooled = g.node('MaxPool', [g.input('x', 'float32', ['N', 1, 4, 4])], { kernel_shape: [2, 2] }, 'pooled');
  const before = g.buildGraph();
  const places = g.optionalOutput(pooled, 1);
  assert.equal(g.optionalOutput(pooled, 1), places);
  assert.ok(g.has(places));
  assert.deepEqual(g.buildGraph().nodes[0]?.outputs, ['pooled', places]);
  assert.deepEqual(before.nodes[0]?.outputs, ['pooled']);
  assert.equal(g.optionalOutput(pooled, 3), g.buildGraph().nodes[0]?.outputs[3]);
  assert.deepEqual(g.buildGraph().nodes[0]?.outputs.slice(0, 3), ['pooled', places, '']);
  assert.throws(() => g.optionalOutput('x', 1), internal(/no node gives x/));
});

test('a name that is made is none of those of nodes that are copied later', () => {
  const source = new GraphBuilder({ name: 'source' });
  source.node('Relu', [source.input('x', 'float32', [1])]);
  source.output('Relu_0', 'float32');
  const model = source.build();
  const g = GraphBuilder.from({ ...model, graph: { ...model.graph, nodes: [], outputs: [] } });
  g.reserve(model.graph.nodes);
  assert.equal(g.node('Relu', ['x']), 'Relu_1');
  for (const node of model.graph.nodes) g.copy(node);
  assert.ok(g.has('Relu_0'));
});
