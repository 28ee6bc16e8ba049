import assert from 'node:assert/strict';
import test from 'node:test';
import { GraphBuilder } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';
import { identities } from '../../../onnx/passes/identities.js';
import { float32Tensor } from '../../../onnx/tensor.js';

const run = (model: Model) => identities.run(model) as Model;
const names = (model: Model) => model.graph.nodes.map(({ name }) => name);

test('Identity and Dropout go; what used them uses what they took', () => {
  const g = new GraphBuilder({ name: 'g' });
  const x = g.input('x', 'float32', [2]);
  const a = g.node('Relu', [x], {}, 'a');
  const b = g.node('Identity', [a], {}, 'b');
  const c = g.node('Dropout', [b], {}, 'c');
  g.output(g.node('Add', [b, c], {}, 'y'), 'float32');
  const model = run(g.build());
  assert.deepEqual(names(model), ['a', 'y']);
  assert.deepEqual(model.graph.nodes[1]?.inputs, ['a', 'a']);
});

test('an output keeps its name: the node before makes it, and others use it', () => {
  const g = new GraphBuilder({ name: 'g' });
  const x = g.input('x', 'float32', [2]);
  const a = g.node('Relu', [x], {}, 'a');
  const b = g.node('Identity', [a], {}, 'b');
  g.output(g.node('Identity', [b], {}, 'y'), 'float32');
  g.output(g.node('Neg', [a], {}, 'z'), 'float32');
  const model = run(g.build());
  assert.deepEqual(
    model.graph.nodes.map(({ inputs, outputs }) => [inputs, outputs]),
    [
      [['x'], ['y']],
      [['y'], ['z']],
    ],
  );
});

test('an Identity stays where its output has no other maker: two outputs, an input, a weight as output', () => {
  const g = new GraphBuilder({ name: 'g' });
  const x = g.input('x', 'float32', [1]);
  const w = g.initializer('w', float32Tensor([1], Float32Array.of(1)));
  const a = g.node('Relu', [x], {}, 'a');
  for (const [from, to] of [
    [a, 'y1'],
    [a, 'y2'],
    [x, 'y3'],
    [w, 'y4'],
  ] as const) {
    g.output(g.node('Identity', [from], {}, to), 'float32');
  }
  const model = run(g.build());
  assert.deepEqual(names(model), ['a', 'y2', 'y3', 'y4']);
  assert.deepEqual(model.graph.nodes[1]?.inputs, ['y1']);
});

test('a Dropout that trains, or whose mask is used, stays', () => {
  const g = new GraphBuilder({ name: 'g' });
  const x = g.input('x', 'float32', [2]);
  const flag = (name: string, on: number) => g.initializer(name, { dtype: 'bool', shape: [], data: Uint8Array.of(on) });
  const ratio = g.float32(0.5);
  const trains = g.node('Dropout', [x, ratio, flag('on', 1)], {}, 'trains');
  const tests = g.node('Dropout', [trains, ratio, flag('off', 0)], {}, 'tests');
  const [masked = '', mask = ''] = g.nodeWithOutputs('Dropout', [tests], ['masked', 'mask'], {}, 'masks');
  g.output(g.node('Relu', [masked], {}, 'y'), 'float32');
  g.output(mask, 'bool');
  assert.deepEqual(names(run(g.build())), ['trains', 'masks', 'y']);
});

test('captures follow, and a name that a subgraph has for its own is not mistaken for one', () => {
  const inner = (name: string, from: string, own: string) => {
    const b = new GraphBuilder({ name });
    const one = b.initializer(`${name}_one`, float32Tensor([1], Float32Array.of(1)));
    const first = b.node('Relu', [one], {}, own);
    b.output(b.node('Add', [first, one], {}, `${name}_out`), 'float32');
    const graph = b.buildGraph();
    return { ...graph, nodes: graph.nodes.map((n) => (n.opType === 'Add' ? { ...n, inputs: [own, from] } : n)) };
  };
  const build = (own: string) => {
    const g = new GraphBuilder({ name: 'g' });
    const x = g.input('x', 'float32', [1]);
    const c = g.input('c', 'bool', []);
    const a = g.node('Relu', [x], {}, 'a');
    g.node('Identity', [a], {}, 'b');
    const branches = { then_branch: inner('t', 'b', own), else_branch: inner('e', 'b', 'e_own') };
    g.output(g.node('If', [c], branches, 'y'), 'float32');
    return g.build();
  };
  const followed = run(build('t_own'));
  assert.deepEqual(names(followed), ['a', 'y']);
  assert.match(
    JSON.stringify(followed, (_, v) => (typeof v === 'bigint' ? `${v}` : v)),
    /\["t_own","a"\]/,
  );
  // A branch calls something of its own `a`: the outer one cannot be named in it.
  assert.deepEqual(names(run(build('a'))), ['a', 'b', 'y']);
});

test('an outer tensor that a branch gives as it is is called by its new name', () => {
  const g = new GraphBuilder({ name: 'g' });
  const c = g.input('c', 'bool', []);
  const a = g.node('Relu', [g.input('x', 'float32', [1])], {}, 'a');
  const b = g.node('Identity', [a], {}, 'b');
  const { outputs, ...rest } = new GraphBuilder({ name: 'branch' }).buildGraph();
  const given = { name: b, type: { kind: 'undefined' }, docString: '', metadataProps: [] } as const;
  const branch = { ...rest, outputs: [...outputs, given] };
  g.output(g.node('If', [c], { then_branch: branch, else_branch: branch }, 'y'), 'float32');
  for (const { value } of run(g.build()).graph.nodes[1]?.attributes ?? []) {
    assert.ok(value.type === 'graph' && value.g.outputs[0]?.name === 'a');
  }
});

test('tensors with a quantisation annotation keep their names and their makers', () => {
  const g = new GraphBuilder({ name: 'g' });
  const x = g.input('x', 'float32', [1]);
  const a = g.node('Identity', [g.node('Relu', [x], {}, 'r')], {}, 'a');
  g.output(g.node('Neg', [a], {}, 'y'), 'float32');
  const model = g.build();
  const quantizationAnnotation = [{ tensorName: 'a', quantParameterTensorNames: [] }];
  const annotated = { ...model, graph: { ...model.graph, quantizationAnnotation } };
  assert.equal(run(annotated), annotated);
});
