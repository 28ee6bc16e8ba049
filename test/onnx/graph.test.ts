import assert from 'node:assert/strict';
import test from 'node:test';
import { GraphBuilder } from '../../onnx/build.js';
import { captures, freeNames, GraphIndex } from '../../onnx/graph.js';
import type { Graph, Node } from '../../onnx/model.js';
import { float32Tensor } from '../../onnx/tensor.js';

const SCALAR = float32Tensor([1], Float32Array.of(2));

/** A branch that makes `from` plus a value of the outer graph, in a graph inside a graph. */
function branch(name: string, outer: string): Graph {
  const inner = graphOver([outer], name);
  const g = new GraphBuilder({ name });
  const flag = g.initializer(`${name}_flag`, { dtype: 'bool', shape: [], data: Uint8Array.of(1) });
  g.output(g.node('If', [flag], { then_branch: inner, else_branch: inner }, `${name}_if`), 'float32', [1]);
  return g.buildGraph();
}

/** Relu of names that are not of this graph, which the builder would refuse. */
function graphOver(names: readonly string[], prefix: string): Graph {
  const g = new GraphBuilder({ name: prefix });
  const w = g.initializer(`${prefix}_w`, SCALAR);
  g.output(g.node('Sum', [w], {}, `${prefix}_sum`), 'float32', [1]);
  const graph = g.buildGraph();
  return { ...graph, nodes: graph.nodes.map((node) => ({ ...node, inputs: [...node.inputs, ...names] })) };
}

/** x -> a -> if(c){captures a}else{captures w2} -> y, and constants of several kinds. */
function sample(): Graph {
  const g = new GraphBuilder({ name: 'main' });
  const x = g.input('x', 'float32', [1]);
  const c = g.input('c', 'bool', []);
  const w1 = g.initializer('w1', SCALAR);
  g.initializer('w2', SCALAR);
  g.node('Constant', [], { value: SCALAR }, 'k');
  const derived = g.node('Mul', [w1, 'k'], {}, 'derived');
  g.node('RandomNormal', [], { shape: [1] }, 'noise');
  const a = g.node('Add', [x, derived], {}, 'a');
  const chosen = g.node('If', [c], { then_branch: branch('then', 'a'), else_branch: branch('else', 'w2') }, 'chosen');
  g.output(g.node('Add', [chosen, a], {}, 'y'), 'float32', [1]);
  return g.buildGraph();
}

const at = (graph: Graph, name: string): number => graph.nodes.findIndex((node) => node.name === name);

test('what a subgraph captures is a use of the node that holds it, through graphs in between', () => {
  const graph = sample();
  const node = graph.nodes[at(graph, 'chosen')] as Node;
  assert.deepEqual([...freeNames(branch('then', 'a'))], ['a']);
  assert.deepEqual([...captures(node)].sort(), ['a', 'w2']);
  const index = new GraphIndex(graph);
  assert.deepEqual([...(index.uses[at(graph, 'chosen')] ?? [])].sort(), ['a', 'c', 'w2']);
  assert.deepEqual(index.consumers.get('a'), [at(graph, 'chosen'), at(graph, 'y')]);
  assert.deepEqual(index.consumers.get('w2'), [at(graph, 'chosen')]);
  assert.deepEqual(index.predecessors(at(graph, 'chosen')), [at(graph, 'a')]);
  assert.deepEqual(index.successors(at(graph, 'a')), [at(graph, 'chosen'), at(graph, 'y')]);
});

test('a name that a subgraph makes itself is no capture, though the outer graph has it too', () => {
  const g = new GraphBuilder({ name: 'shadow' });
  const x = g.input('x', 'float32', [1]);
  g.output(g.node('Relu', [x], {}, 'a'), 'float32', [1]);
  assert.deepEqual([...freeNames(g.buildGraph())], []);
});

test('initializers, Constant nodes and what depends on these alone is constant; random numbers are not', () => {
  const graph = sample();
  const index = new GraphIndex(graph);
  const constant = ['w1', 'w2', 'k', 'derived'];
  for (const name of constant) assert.ok(index.isConstant(name), name);
  for (const name of ['x', 'c', 'a', 'noise', 'chosen', 'y']) assert.ok(!index.isConstant(name), name);
  assert.deepEqual(
    graph.nodes.filter((_, i) => index.constantNodes[i]).map(({ name }) => name),
    ['k', 'derived'],
  );
});

test('an input with an initializer is a constant and not an input', () => {
  const graph = sample();
  const [x] = graph.inputs;
  assert.ok(x);
  const index = new GraphIndex({ ...graph, inputs: [...graph.inputs, { ...x, name: 'w1' }] });
  assert.deepEqual(index.inputs, ['x', 'c']);
  assert.ok(index.isConstant('w1'));
});

test('nodes that stand in no running order are put into one, and the order is kept where it is one', () => {
  const graph = sample();
  assert.deepEqual(new GraphIndex(graph).order, [...graph.nodes.keys()]);
  const reversed = { ...graph, nodes: graph.nodes.toReversed() };
  const index = new GraphIndex(reversed);
  assert.equal(index.order.length, graph.nodes.length);
  const place = new Map(index.order.map((i, rank) => [i, rank]));
  for (const i of index.order) {
    for (const before of index.predecessors(i)) assert.ok((place.get(before) as number) < (place.get(i) as number));
  }
  assert.ok(index.isConstant('derived'));
});

test('ancestors are all that a tensor depends on, through captures too', () => {
  const graph = sample();
  const index = new GraphIndex(graph);
  const names = (tensors: string[]) => [...index.ancestors(tensors)].map((i) => graph.nodes[i]?.name).sort();
  assert.deepEqual(names(['chosen']), ['a', 'chosen', 'derived', 'k']);
  assert.deepEqual(names(['x', 'w1']), []);
});
