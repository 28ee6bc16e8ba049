import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import test from 'node:test';
import { GraphBuilder } from '../../onnx/build.js';
import { inferValues } from '../../onnx/infer.js';
import { DATA_TYPE, type Dim, type Model } from '../../onnx/model.js';
import { dataDependentShapes } from '../../onnx/shapes/dependence.js';
import { ruleFor } from '../../onnx/shapes/index.js';

/** A model of one input `x`, whose last node is the output `y`. */
function built(shape: readonly Dim[], body: (g: GraphBuilder, x: string) => void, opset = 17): Model {
  const g = new GraphBuilder({ name: 'test', opset });
  g.useDomain('com.microsoft', 1);
  body(g, g.input('x', 'float32', shape));
  g.output('y', 'float32');
  return g.build();
}

const NO_RULE = 'com.microsoft';

function withoutRule(model: Model): void {
  assert.ok(
    model.graph.nodes.some((node) => ruleFor(node) === undefined),
    'the test needs an operator without a rule',
  );
}

test('an operator without a rule is measured, its free symbol included', async () => {
  const model = built(['N', 3, 8, 8], (g, x) => {
    const odd = g.node('Inverse', [x], {}, { name: 'odd', domain: NO_RULE });
    g.node('Flatten', [odd], {}, 'y');
  });
  withoutRule(model);
  assert.equal((await inferValues(model, { probe: false })).get('odd'), undefined);
  const values = await inferValues(model);
  assert.deepEqual(values.get('odd'), { dtype: DATA_TYPE.float32, shape: ['N', 3, 8, 8] });
  assert.deepEqual(values.get('y')?.shape, ['N', 192], 'rules go on from what was measured');
  assert.deepEqual((await inferValues(model, { dims: { N: 4 } })).get('y')?.shape, [4, 192]);
});

test('a shape that follows the data stays open, with the rank that a run gives', async () => {
  const model = built(['N', 6], (g, x) => {
    const some = g.node('NonZero', [g.node('Relu', [x])], {}, 'some');
    g.node('Cast', [g.node('GatherND', [x, g.node('Transpose', [some], { perm: [1, 0] })])], { to: 1 }, 'y');
    // Not of the data: a constant's nonzero elements.
    g.node(
      'NonZero',
      [
        g.node('ConstantOfShape', [g.int64([2, 3])], {
          value: { dtype: 'float32', shape: [1], data: new Uint8Array([0, 0, 128, 63]) },
        }),
      ],
      {},
      'all',
    );
  });
  const values = await inferValues(model);
  assert.deepEqual(values.get('some'), { dtype: DATA_TYPE.int64, shape: [2, undefined] });
  assert.deepEqual(values.get('y'), { dtype: DATA_TYPE.float32, shape: [undefined] });
  assert.deepEqual(values.get('all'), { dtype: DATA_TYPE.int64, shape: [2, 6] });
});

test('shapes that follow the data are told from those that follow shapes', () => {
  const model = built(['N', 6], (g, x) => {
    const shape = g.node('Shape', [x], {}, 'shape');
    g.node('Reshape', [x, shape], {}, 'by-shape');
    g.node('Reshape', [x, g.node('Cast', [g.node('ReduceSum', [x])], { to: 7 }, 'total')], {}, 'by-data');
    g.node('NonZero', [g.node('ConstantOfShape', [shape])], {}, 'of-shape');
    g.node('NonZero', [x], {}, 'of-data');
    g.node('Range', [g.int64(0), g.node('Size', ['of-data']), g.int64(1)], {}, 'counted');
    g.node('ReduceMax', [x, g.input('axes', 'int64', [1])], { keepdims: 0 }, 'by-axes');
    g.node('Relu', ['by-data'], {}, 'after');
    g.node('Relu', ['by-shape'], {}, 'y');
  });
  assert.deepEqual([...dataDependentShapes(model)].sort(), ['after', 'by-axes', 'by-data', 'counted', 'of-data']);
});

test('an operator without a rule whose shape follows the data shows it in two runs', async () => {
  const model = built([8], (g, x) => {
    g.nodeWithOutputs('Unique', [g.node('Relu', [x])], ['y', 'index', 'counts'], {}, { domain: NO_RULE });
  });
  withoutRule(model);
  const values = await inferValues(model);
  assert.deepEqual(values.get('y'), { dtype: DATA_TYPE.float32, shape: [undefined] });
  assert.deepEqual(values.get('index'), { dtype: DATA_TYPE.int64, shape: [8] });
});

test('what rules know in part is kept where a run cannot tell it', async () => {
  const model = built(['N', 6], (g, x) => {
    const square = g.node('MatMul', [g.node('Transpose', [x], { perm: [1, 0] }), x]);
    const odd = g.node('Inverse', [g.node('Add', [square, g.node('EyeLike', [square])])], {}, { domain: NO_RULE });
    g.node('Gemm', [g.node('Concat', [x, x], { axis: 0 }), odd], {}, 'y');
  });
  withoutRule(model);
  assert.deepEqual((await inferValues(model, { probe: false })).get('y')?.shape, ['2*N', undefined]);
  assert.deepEqual((await inferValues(model)).get('y')?.shape, ['2*N', 6]);
});

test('a count of positive elements is not taken for a size', async () => {
  const model = built([8], (g, x) => {
    const positive = g.node('Cast', [g.node('Greater', [x, g.float32(0)])], { to: 7 });
    const pads = g.node('Concat', [g.int64([0]), g.node('ReduceSum', [positive], { keepdims: 1 })], { axis: 0 });
    g.node('Pad', [x, pads], {}, { name: 'y', domain: NO_RULE });
  });
  withoutRule(model);
  assert.deepEqual((await inferValues(model)).get('y'), { dtype: DATA_TYPE.float32, shape: [undefined] });
});

test('a sequence is no tensor, and does not keep the others from being measured', async () => {
  const model = built(['N', 8], (g, x) => {
    const sequence = g.node('SplitToSequence', [x, g.int64(4)], { axis: 1 }, 'sequence');
    g.node('SequenceAt', [sequence, g.int64(0)], {}, 'y');
  });
  withoutRule(model);
  const values = await inferValues(model);
  assert.equal(values.has('sequence'), false);
  assert.deepEqual(values.get('y'), { dtype: DATA_TYPE.float32, shape: ['N', 4] });
});

test('a scalar takes a value that the graph compares it with', async () => {
  const g = new GraphBuilder({ name: 'rates' });
  g.useDomain('com.microsoft', 1);
  const x = g.input('x', 'float32', ['N', 4, 4]);
  const rate = g.input('rate', 'int64', []);
  const right = g.node('Cast', [g.node('Equal', [rate, g.int64(16000)])], { to: 7 });
  // Indexing fails unless the rate is 16000.
  const row = g.node('Gather', [x, g.node('Mul', [g.node('Sub', [right, g.int64(1)]), g.int64(1000)])], { axis: 1 });
  const square = g.node('Add', [g.node('Unsqueeze', [row, g.int64([1])]), x], {}, 'square');
  g.output(g.node('Inverse', [square], {}, { name: 'y', domain: NO_RULE }), 'float32');
  const values = await inferValues(g.build());
  assert.deepEqual(values.get('y')?.shape, ['N', 4, 4]);
});

test('a model that the runtime refuses gives what rules and its declarations say, and leaves no files', async () => {
  const before = readdirSync(tmpdir()).filter((name) => name.startsWith('tierbed-probe-')).length;
  const model = built(['N', 4], (g, x) => {
    g.useDomain('example.org', 1);
    g.node('Relu', [x], {}, 'z');
    g.node('Unheard', ['z'], {}, { name: 'y', domain: 'example.org' });
  });
  const stale = {
    ...model.graph.outputs[0],
    type: { kind: 'tensor', elemType: 1, shape: [1, 4] },
  } as Model['graph']['outputs'][number];
  const values = await inferValues({ ...model, graph: { ...model.graph, outputs: [stale] } });
  assert.deepEqual(values.get('z')?.shape, ['N', 4]);
  assert.deepEqual(values.get('y'), { dtype: DATA_TYPE.float32, shape: [undefined, undefined] });
  const after = readdirSync(tmpdir()).filter((name) => name.startsWith('tierbed-probe-')).length;
  assert.ok(after <= before);
});
