import assert from 'node:assert/strict';
import test from 'node:test';
import { GraphBuilder } from '../../../onnx/build.js';
import { encodeModel } from '../../../onnx/encode.js';
import { initializerTensor } from '../../../onnx/initializer.js';
import type { Model } from '../../../onnx/model.js';
import { constantFolding } from '../../../onnx/passes/constant-folding.js';
import { constantNodes } from '../../../onnx/passes/constant-nodes.js';
import { decodeModel } from '../../../onnx/read.js';
import { denseTensor, float32Tensor, float32Values } from '../../../onnx/tensor.js';

const fold = async (model: Model): Promise<Model> => {
  const folded = await constantFolding.run(model);
  decodeModel(encodeModel(folded));
  return folded;
};
const nodes = (model: Model) => model.graph.nodes.map(({ name }) => name);
const weights = (model: Model) => model.graph.initializers.map(({ name }) => name);

function valuesOf(model: Model, name: string): number[] {
  const weight = model.graph.initializers.find((w) => w.name === name);
  assert.ok(weight, name);
  return [...float32Values(initializerTensor(weight))];
}

test('what depends on constants alone becomes a weight, under the name it had, and only where something needs it', async () => {
  const g = new GraphBuilder({ name: 'g' });
  const x = g.input('x', 'float32', [2]);
  const a = g.initializer('a', float32Tensor([2], Float32Array.of(1, 4)));
  const b = g.node('Sqrt', [a], {}, 'b');
  const c = g.node('Add', [b, a], {}, 'c');
  g.output(g.node('Mul', [x, c], {}, 'y'), 'float32');
  g.output(g.node('Neg', [a], {}, 'z'), 'float32');
  const folded = await fold(g.build());
  // z is an output: its node stays.
  assert.deepEqual(nodes(folded), ['y', 'z']);
  assert.deepEqual(weights(folded), ['a', 'c']);
  assert.deepEqual(valuesOf(folded, 'c'), [2, 6]);
});

test('weights in int8 stay quantised, random numbers stay random, and what the runtime cannot run stays', async () => {
  const g = new GraphBuilder({ name: 'g' });
  const x = g.input('x', 'float32', [2]);
  const w = g.initializer('w', float32Tensor([2], Float32Array.of(1, 4)));
  const scale = g.float32(0.5);
  const zero = g.initializer('zero', denseTensor('int8', [], Uint8Array.of(0)));
  const q = g.node('QuantizeLinear', [w, scale, zero], {}, 'q');
  const d = g.node('DequantizeLinear', [q, scale, zero], {}, 'd');
  const noise = g.node('RandomNormal', [], { shape: [2] }, 'noise');
  const noisy = g.node('Add', [noise, w], {}, 'noisy');
  // Not defined for these shapes: fails, and with it what needs it.
  const fails = g.node('Reshape', [w, g.int64([3])], {}, 'fails');
  const behind = g.node('Neg', [fails], {}, 'behind');
  const works = g.node('Neg', [w], {}, 'works');
  g.output(g.node('Sum', [x, d, noisy, works], {}, 'y'), 'float32');
  g.output(g.node('Relu', [behind], {}, 'z'), 'float32');
  const folded = await fold(g.build());
  assert.deepEqual(nodes(folded), ['d', 'noise', 'noisy', 'fails', 'behind', 'y', 'z']);
  assert.deepEqual(valuesOf(folded, 'works'), [-1, -4]);
  assert.equal(folded.graph.initializers.find(({ name }) => name === 'q')?.dataType, 3);
});

test('a result that would make the file much larger is not kept; what is made of it, and small, is', async () => {
  const g = new GraphBuilder({ name: 'g' });
  const x = g.input('x', 'float32', [1]);
  const one = g.initializer('one', float32Tensor([1], Float32Array.of(1)));
  const filled = g.node('Expand', [one, g.int64([100_000])], {}, 'filled');
  const large = g.node('Neg', [filled], {}, 'large');
  const sum = g.node('ReduceSum', [filled], {}, 'sum');
  g.output(g.node('Add', [x, large], {}, 'y'), 'float32');
  g.output(g.node('Add', [x, sum], {}, 'z'), 'float32');
  const folded = await fold(g.build());
  assert.deepEqual(nodes(folded), ['filled', 'large', 'y', 'z']);
  assert.deepEqual(valuesOf(folded, 'sum'), [100_000]);
});

test('a weight is not stored a second time, turned, for being used in two ways', async () => {
  const build = (ways: 'turned' | 'turned twice' | 'turned and as it is') => {
    const g = new GraphBuilder({ name: 'g' });
    const x = g.input('x', 'float32', [1, 200]);
    const w = g.initializer('w', float32Tensor([200, 200], new Float32Array(40_000).fill(1)));
    const turned = g.node('Transpose', [w], {}, 'turned');
    const y = g.node('MatMul', [x, turned], {}, 'y');
    if (ways === 'turned twice') g.output(g.node('MatMul', [y, g.node('Neg', [w], {}, 'less')], {}, 'z'), 'float32');
    else g.output(ways === 'turned' ? y : g.node('MatMul', [y, w], {}, 'z'), 'float32');
    return g.build();
  };
  assert.deepEqual(nodes(await fold(build('turned'))), ['y']);
  assert.deepEqual(nodes(await fold(build('turned twice'))), ['turned', 'y', 'less', 'z']);
  assert.deepEqual(nodes(await fold(build('turned and as it is'))), ['turned', 'y', 'z']);
});

test('a graph inside is folded with the constants around it, and an If whose choice is constant is worked out', async () => {
  const inside = (name: string, outer: string) => {
    const b = new GraphBuilder({ name });
    const own = b.node('Constant', [], { value: float32Tensor([1], Float32Array.of(2)) }, `${name}_own`);
    const scaled = b.node('Mul', [own, own], {}, `${name}_scaled`);
    b.output(b.node('Neg', [scaled], {}, `${name}_out`), 'float32');
    const graph = b.buildGraph();
    return { ...graph, nodes: graph.nodes.map((n) => (n.opType === 'Mul' ? { ...n, inputs: [own, outer] } : n)) };
  };
  const g = new GraphBuilder({ name: 'g' });
  const x = g.input('x', 'float32', [1]);
  const flag = g.input('flag', 'bool', []);
  const w = g.initializer('w', float32Tensor([1], Float32Array.of(3)));
  const doubled = g.node('Add', [w, w], {}, 'doubled');
  const fixed = g.initializer('fixed', denseTensor('bool', [], Uint8Array.of(1)));
  const [then_branch, else_branch] = [inside('t', doubled), inside('e', 'x')];
  const open = g.node('If', [flag], { then_branch, else_branch }, 'open');
  const known = g.node('If', [fixed], { then_branch: inside('k', doubled), else_branch: inside('l', w) }, 'known');
  g.output(g.node('Sum', [x, open, known], {}, 'y'), 'float32');
  const folded = await fold(await constantNodes.run(g.build()));
  assert.deepEqual(nodes(folded), ['open', 'y']);
  assert.deepEqual(valuesOf(folded, 'known'), [-12]);
  const [then, otherwise] = (folded.graph.nodes[0]?.attributes ?? []).map(
    ({ value }) => value.type === 'graph' && value.g,
  );
  assert.ok(then && otherwise);
  assert.deepEqual(
    [then, otherwise].map(({ nodes: list }) => list.map(({ name }) => name)),
    [['t_out'], ['e_scaled', 'e_out']],
  );
});

test('a weight that a caller may replace is no constant', async () => {
  const g = new GraphBuilder({ name: 'g' });
  const x = g.input('x', 'float32', [1]);
  const w = g.initializer('w', float32Tensor([1], Float32Array.of(3)));
  g.output(g.node('Add', [x, g.node('Neg', [w], {}, 'n')], {}, 'y'), 'float32');
  const model = g.build();
  const [info] = model.graph.inputs;
  assert.ok(info);
  const open = { ...model, graph: { ...model.graph, inputs: [info, { ...info, name: 'w' }] } };
  assert.equal(await constantFolding.run(open), open);
});
