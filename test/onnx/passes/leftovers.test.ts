import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { GraphBuilder } from '../../../onnx/build.js';
import { encodeModel } from '../../../onnx/encode.js';
import type { Model } from '../../../onnx/model.js';
import { deadCode } from '../../../onnx/passes/dead-code.js';
import { duplicateWeights } from '../../../onnx/passes/duplicate-weights.js';
import { prepareModel } from '../../../onnx/passes/index.js';
import { decodeModel, readModel } from '../../../onnx/read.js';
import { denseTensor, float32Tensor } from '../../../onnx/tensor.js';
import { writeModel } from '../../../onnx/write.js';
import { randomCnn } from '../../support/random-cnn.js';
import { runModel, sameBytes, seededInputs } from '../../support/run-model.js';

const weights = (model: Model) => model.graph.initializers.map(({ name }) => name);
const one = (name: string, g: GraphBuilder, value = 1) =>
  g.initializer(name, float32Tensor([1], Float32Array.of(value)));

/** A branch that adds tensors of the graph around it; its second node leads nowhere. */
function branch(name: string, used: string, unused: string) {
  const b = new GraphBuilder({ name });
  const own = one(`${name}_own`, b);
  one(`${name}_idle`, b);
  b.output(b.node('Neg', [own], {}, `${name}_out`), 'float32');
  b.node('Abs', [own], {}, `${name}_dead`);
  const graph = b.buildGraph();
  return { ...graph, nodes: graph.nodes.map((n) => ({ ...n, inputs: [n.opType === 'Neg' ? used : unused] })) };
}

test('nodes that no output needs and weights that nothing uses go, in graphs inside too; inputs stay', () => {
  const g = new GraphBuilder({ name: 'g' });
  const x = g.input('x', 'float32', [1]);
  g.input('idle', 'float32', [1]);
  const flag = g.input('flag', 'bool', []);
  for (const name of ['captured', 'lost', 'nothing']) one(name, g);
  const branches = { then_branch: branch('t', 'captured', 'lost'), else_branch: branch('e', 'x', 'lost') };
  const chosen = g.node('If', [flag], branches, 'chosen');
  g.node('Relu', [g.node('Neg', [x], {}, 'dead')], {}, 'deader');
  g.output(g.node('Add', [chosen, x], {}, 'y'), 'float32');
  const model = deadCode.run(g.build()) as Model;
  decodeModel(encodeModel(model));
  assert.deepEqual(
    model.graph.nodes.map(({ name }) => name),
    ['chosen', 'y'],
  );
  assert.deepEqual(weights(model), ['captured']);
  assert.deepEqual(
    model.graph.inputs.map(({ name }) => name),
    ['x', 'idle', 'flag'],
  );
  for (const { value } of model.graph.nodes[0]?.attributes ?? []) {
    assert.ok(value.type === 'graph' && value.g.nodes.length === 1 && value.g.initializers.length === 0);
  }
});

test('a weight goes though no node does', () => {
  const g = new GraphBuilder({ name: 'g' });
  one('nothing', g);
  g.output(g.node('Relu', [g.input('x', 'float32', [1])], {}, 'y'), 'float32');
  assert.deepEqual(weights(deadCode.run(g.build()) as Model), []);
});

test('equal weights become one, for what graphs inside capture too; outputs, inputs and other types stay apart', () => {
  const g = new GraphBuilder({ name: 'g' });
  const x = g.input('x', 'float32', [1]);
  const flag = g.input('flag', 'bool', []);
  const [a, b, other, out] = [one('a', g), one('b', g), one('other', g, 2), one('out', g)];
  const bits = new Uint8Array(Float32Array.of(1).buffer);
  const int = g.initializer('int', denseTensor('int32', [1], bits));
  g.initializer('int2', denseTensor('int32', [1], bits));
  const scalar = g.initializer('scalar', float32Tensor([], Float32Array.of(1)));
  g.initializer('scalar2', float32Tensor([], Float32Array.of(1)));
  const branches = { then_branch: branch('t', 'b', 'x'), else_branch: branch('e', 'a', 'x') };
  const chosen = g.node('If', [flag], branches, 'chosen');
  const cast = g.node('Cast', [int], { to: 1 }, 'cast');
  g.output(g.node('Sum', [x, a, b, other, scalar, cast, chosen], {}, 'y'), 'float32');
  g.output(out, 'float32');
  const model = duplicateWeights.run(g.build()) as Model;
  decodeModel(encodeModel(model));
  assert.deepEqual(weights(model), ['a', 'other', 'out', 'int', 'scalar']);
  assert.deepEqual(model.graph.nodes.at(-1)?.inputs, ['x', 'a', 'a', 'other', 'scalar', 'cast', 'chosen']);
  const [then] = model.graph.nodes[0]?.attributes ?? [];
  assert.ok(then?.value.type === 'graph');
  assert.deepEqual(then.value.g.nodes[0]?.inputs, ['a']);
});

test('external data, sparse weights, annotations and functions come through', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-passes-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const g = new GraphBuilder({ name: 'g' });
  g.useDomain('own', 1);
  const x = g.input('x', 'float32', [1, 64]);
  const w = g.initializer('w', float32Tensor([64, 64], new Float32Array(4096).fill(0.25)));
  const v = g.initializer('v', float32Tensor([64, 64], new Float32Array(4096).fill(0.5)));
  const turned = g.node('Transpose', [v], {}, 'turned');
  const y = g.node('MatMul', [g.node('MatMul', [x, w], {}, 'm'), turned], {}, 'n');
  one('scale', g);
  g.output(g.node('Twice', [g.node('Identity', [y], {}, 'i')], {}, { name: 'z', domain: 'own' }), 'float32');
  const path = join(folder, 'model.onnx');
  await writeModel(g.build(), path, { external: 'always' });
  const read = await readModel(path);
  const body = new GraphBuilder({ name: 'f' });
  const a = body.input('a', 'float32', [1, 64]);
  body.output(body.node('Add', [a, body.node('Identity', [a], {}, 'same')], {}, 'b'), 'float32');
  const twice = {
    name: 'Twice',
    domain: 'own',
    overload: '',
    inputs: ['a'],
    outputs: ['b'],
    attributes: [],
    attributeProtos: [],
    nodes: body.buildGraph().nodes,
    opsetImport: [{ domain: '', version: 17 }],
    valueInfo: [],
    docString: '',
    metadataProps: [],
  };
  const annotation = { tensorName: 'n', quantParameterTensorNames: [{ key: 'SCALE_TENSOR', value: 'scale' }] };
  const model: Model = {
    ...read,
    functions: [twice],
    metadataProps: [{ key: 'tierbed.recipe', value: 'x' }],
    graph: { ...read.graph, quantizationAnnotation: [annotation] },
  };
  const { model: prepared } = await prepareModel(model);
  assert.deepEqual(prepared.functions, [twice]);
  assert.deepEqual(prepared.metadataProps, model.metadataProps);
  assert.deepEqual(prepared.graph.quantizationAnnotation, [annotation]);
  assert.ok(prepared.graph.initializers.some(({ name }) => name === 'scale'));
  assert.equal(prepared.graph.initializers.find(({ name }) => name === 'w')?.data.kind, 'external');
  assert.deepEqual(
    prepared.graph.nodes.map(({ opType }) => opType),
    ['MatMul', 'MatMul', 'Identity', 'Twice'],
  );
  const written = join(folder, 'prepared.onnx');
  await writeModel(prepared, written, { external: 'always' });
  const feeds = seededInputs(model);
  assert.ok(sameBytes(await runModel(encodeModel(await inMemory(model)), feeds), await runModel(written, feeds)));
});

/** A model with its external data read. */
async function inMemory(model: Model): Promise<Model> {
  const { initializerBytes } = await import('../../../onnx/initializer.js');
  const initializers = model.graph.initializers.map((weight) => {
    return { ...weight, data: { kind: 'raw', bytes: initializerBytes(weight) } } as const;
  });
  return { ...model, graph: { ...model.graph, initializers } };
}

test('a sparse weight that is used stays, one that is not goes', () => {
  const model = randomCnn(1);
  const [dense] = model.graph.initializers;
  assert.ok(dense);
  const sparse = (name: string) => ({
    values: { ...dense, name },
    indices: { ...dense, name: `${name}_at` },
    dims: [9],
  });
  const nodes = model.graph.nodes.map((node, i) => (i === 0 ? { ...node, inputs: [...node.inputs, 'kept'] } : node));
  const graph = { ...model.graph, nodes, sparseInitializers: [sparse('kept'), sparse('gone')] };
  const left = (
    deadCode.run({
      ...model,
      graph: {
        ...graph,
        outputs: [
          ...graph.outputs,
          { ...(graph.outputs[0] as (typeof graph.outputs)[0]), name: nodes[0]?.outputs[0] ?? '' },
        ],
      },
    }) as Model
  ).graph;
  assert.deepEqual(
    left.sparseInitializers.map(({ values }) => values.name),
    ['kept'],
  );
});
