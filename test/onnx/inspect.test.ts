import assert from 'node:assert/strict';
import test from 'node:test';
import { GraphBuilder } from '../../onnx/build.js';
import { cutModel } from '../../onnx/cut.js';
import { inspectModel, stageFigures } from '../../onnx/inspect.js';
import type { Model } from '../../onnx/model.js';
import { readModel } from '../../onnx/read.js';
import { float32Tensor } from '../../onnx/tensor.js';
import { bytesOf, runModel, SHARED_DIMS, seededInputs } from '../support/run-model.js';
import { needsSharedData, sharedModels } from '../support/shared-data.js';

test('the parameters of every shared model are those of its manifest, and both sides of a cut hold the stages', async (t) => {
  const dir = needsSharedData(t);
  if (!dir) return;
  for (const { name, path, parameters, inputs } of sharedModels(dir)) {
    const model = await readModel(path);
    const dims = name.startsWith('silero') ? { sequence: 512 } : {};
    const inspection = await inspectModel(model, { dims });
    assert.equal(inspection.parameters, parameters, name);
    assert.equal(inspection.nodes, model.graph.nodes.length);
    assert.deepEqual(
      inspection.inputs.map((input) => [input.name, input.shape]),
      inputs.map((input) => [input.name, input.shape]),
    );
    assert.ok(inspection.macs !== null && inspection.macs > 0, name);
    const { cuts } = inspection;
    for (const cut of [cuts[0], cuts[cuts.length >> 1], cuts.at(-1)]) {
      assert.ok(cut);
      const stages = await cutModel(model, [cut.tensors]);
      const { sides } = await stageFigures(model, stages, dims);
      assert.deepEqual([cut.before, cut.after], sides, `${name} cut at ${cut.tensors}`);
    }
  }
});

test('the bytes of every cut are those that cross when one item runs', async (t) => {
  const dir = needsSharedData(t);
  if (!dir) return;
  for (const { name, path } of sharedModels(dir)) {
    if (!/resnet8|vit|magika|silero|qdq/.test(name)) continue;
    const model = await readModel(path);
    const { cuts } = await inspectModel(model, { dims: name.startsWith('silero') ? { sequence: 512 } : {} });
    const feeds = seededInputs(model, SHARED_DIMS);
    const names = [...new Set(cuts.flatMap(({ tensors }) => tensors))].filter((tensor) => !feeds[tensor]);
    const values = { ...feeds, ...(await runModel(exposed(model, names), feeds)) };
    for (const { tensors, bytes } of cuts) {
      if (bytes === null) continue;
      const crossed = tensors.reduce((total, tensor) => total + bytesOf(values[tensor] as never).byteLength, 0);
      assert.equal(bytes, crossed, `${name}: ${tensors}`);
    }
    const unknown = cuts.filter(({ bytes }) => bytes === null).length;
    assert.ok(unknown <= cuts.length / 4, `${name}: ${unknown} of ${cuts.length} unknown`);
  }
});

function exposed(model: Model, names: readonly string[]): Model {
  const present = new Set(model.graph.outputs.map(({ name }) => name));
  const added = names
    .filter((name) => !present.has(name))
    .map((name) => ({ name, type: { kind: 'undefined' as const }, docString: '', metadataProps: [] }));
  return { ...model, graph: { ...model.graph, outputs: [...model.graph.outputs, ...added] } };
}

/** x[N,S,4] -> MatMul w1 -> Relu -> MatMul w2, with a constant that both halves use. */
function sample(): Model {
  const g = new GraphBuilder({ name: 'sample', opset: 15 });
  const x = g.input('x', 'float32', ['N', 'S', 4]);
  const w1 = g.initializer('w1', float32Tensor([4, 5], new Float32Array(20)));
  const w2 = g.initializer('w2', float32Tensor([5, 2], new Float32Array(10)));
  const both = g.initializer('both', float32Tensor([1], Float32Array.of(1)));
  g.node('Neg', [both], {}, 'negated');
  const a = g.node('Mul', [g.node('MatMul', [x, w1], {}, 'm'), 'negated'], {}, 'a');
  g.output(g.node('Mul', [g.node('MatMul', [a, w2], {}, 'n'), 'negated'], {}, 'y'), 'float32', ['N', 'S', 2]);
  return g.build();
}

test('a model is described exactly', async () => {
  assert.deepEqual(await inspectModel(sample(), { dims: { S: 3 } }), {
    inputs: [{ name: 'x', dtype: 'float32', shape: ['N', 'S', 4] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['N', 'S', 2] }],
    opset: 15,
    parameters: 31,
    macs: 3 * 20 + 3 * 10,
    nodes: 5,
    cuts: [
      {
        tensors: ['m'],
        bytes: 3 * 5 * 4,
        before: { nodes: 1, parameters: 20, macs: 60 },
        after: { nodes: 4, parameters: 11, macs: 30 },
      },
      {
        tensors: ['a'],
        bytes: 3 * 5 * 4,
        before: { nodes: 3, parameters: 21, macs: 60 },
        after: { nodes: 3, parameters: 11, macs: 30 },
      },
      {
        tensors: ['n'],
        bytes: 3 * 2 * 4,
        before: { nodes: 4, parameters: 31, macs: 90 },
        after: { nodes: 2, parameters: 1, macs: 0 },
      },
    ],
  });
});

test('a free dimension is 1 unless told; one without a symbol goes by its input and axis', async () => {
  assert.equal((await inspectModel(sample())).cuts[0]?.bytes, 5 * 4);
  const model = sample();
  const [x] = model.graph.inputs;
  assert.ok(x);
  const nameless = {
    ...model,
    graph: {
      ...model.graph,
      inputs: [{ ...x, type: { kind: 'tensor' as const, elemType: 1, shape: [undefined, 7, 4] } }],
    },
  };
  assert.equal((await inspectModel(nameless, { dims: { 'x.0': 2 } })).cuts[0]?.bytes, 2 * 7 * 5 * 4);
});

test('a symbol that no input has, and a size that is none, are refused with those there are', async () => {
  await assert.rejects(inspectModel(sample(), { dims: { sequence: 3 } }), {
    kind: 'usage',
    message: /no input has a dimension sequence/,
    fix: /N, S/,
  });
  for (const size of [0, -1, 1.5, Number.NaN]) {
    await assert.rejects(inspectModel(sample(), { dims: { S: size } }), {
      kind: 'usage',
      message: /dimension S cannot be/,
    });
  }
});

test('a model of one node has no cuts', async () => {
  const g = new GraphBuilder({ name: 'one' });
  g.output(g.node('Relu', [g.input('x', 'float32', [3])], {}, 'y'), 'float32', [3]);
  assert.deepEqual((await inspectModel(g.build())).cuts, []);
});
