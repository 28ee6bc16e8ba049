import assert from 'node:assert/strict';
import test from 'node:test';
import { Tensor } from 'onnxruntime-node';
import { Random } from '../../base/random.js';
import { GraphBuilder } from '../../onnx/build.js';
import { cutModel, findCuts, validateCut } from '../../onnx/cut.js';
import { inferValues } from '../../onnx/infer.js';
import type { Graph, Model, Node } from '../../onnx/model.js';
import { readModel } from '../../onnx/read.js';
import { type DenseTensor, float32Tensor } from '../../onnx/tensor.js';
import { difference, runModel, runStages, SHARED_DIMS, sameBytes, seededInputs } from '../support/run-model.js';
import { needsSharedData, sharedModels } from '../support/shared-data.js';

const WEIGHT = float32Tensor([3], Float32Array.of(0.5, -1, 2));
const FLAG: DenseTensor = { dtype: 'bool', shape: [], data: Uint8Array.of(1) };

/** x -> a -> b -> add(b, a) -> c -> y: a residual block between two nodes. */
function residual(): Model {
  const g = new GraphBuilder({ name: 'residual' });
  const x = g.input('x', 'float32', ['N', 3]);
  const w = g.initializer('w', WEIGHT);
  const a = g.node('Mul', [x, w], {}, 'a');
  const b = g.node('Relu', [a], {}, 'b');
  const sum = g.node('Add', [b, a], {}, 'sum');
  const c = g.node('Mul', [sum, w], {}, 'c');
  g.output(g.node('Sigmoid', [c], {}, 'y'), 'float32', ['N', 3]);
  return g.build();
}

const tensorsOf = (model: Model): string[] => findCuts(model).map(({ tensors }) => tensors.join());

test('in a chain each tensor is a cut; in a residual block the skip connection crosses too', () => {
  assert.deepEqual(tensorsOf(residual()), ['a', 'a,b', 'sum', 'c']);
});

test('in parallel branches every combination of positions is a cut', () => {
  const g = new GraphBuilder({ name: 'branches' });
  const x = g.input('x', 'float32', [3]);
  const stem = g.node('Relu', [x], {}, 'stem');
  const left = g.node('Relu', [g.node('Relu', [stem], {}, 'l1')], {}, 'l2');
  const right = g.node('Relu', [stem], {}, 'r1');
  g.output(g.node('Add', [left, right], {}, 'y'), 'float32', [3]);
  assert.deepEqual(tensorsOf(g.build()).sort(), ['l1,r1', 'l2,r1', 'stem', 'stem,l1', 'stem,l2', 'stem,r1'].sort());
});

/** A random graph: inputs, weights, nodes of one or two inputs, some outputs made early, some nodes that nobody needs. */
function randomModel(random: Random, size: number): Model {
  const g = new GraphBuilder({ name: 'random' });
  const names = [g.input('x', 'float32', ['N', 3]), g.input('z', 'float32', ['N', 3])];
  const w = g.initializer('w', WEIGHT);
  g.node('Relu', [w], {}, 'constant');
  for (let i = 0; i < size; i++) {
    const recent = () => random.pick(names.slice(-4));
    const second = random.integer(3) === 0 ? random.pick([w, 'constant']) : recent();
    names.push(
      random.integer(3) === 0
        ? g.node('Relu', [recent()], {}, `n${i}`)
        : g.node('Add', [recent(), second], {}, `n${i}`),
    );
  }
  const outputs = new Set([names.at(-1) as string, random.pick(names.slice(2)), random.pick(names.slice(2))]);
  for (const name of outputs) g.output(name, 'float32', ['N', 3]);
  return g.build();
}

/** All cuts of a small graph by trying every set of nodes: the definition in `findCuts`, said once more. */
function cutsByTrying({ graph }: Model): string[] {
  const constant = new Set(['w', 'constant']);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const alive = new Set<string>(outputs);
  for (const node of graph.nodes.toReversed()) {
    if (node.outputs.some((name) => alive.has(name))) for (const name of node.inputs) alive.add(name);
  }
  const nodes = graph.nodes.filter(({ name }) => alive.has(name) && !constant.has(name));
  const found: string[] = [];
  for (let set = 1; set < 2 ** nodes.length - 1; set++) {
    const before = nodes.filter((_, i) => (set >> i) & 1);
    const behind = nodes.filter((_, i) => !((set >> i) & 1));
    const made = new Set(before.map(({ name }) => name));
    const late = new Set(behind.map(({ name }) => name));
    if (before.some(({ inputs }) => inputs.some((name) => late.has(name)))) continue;
    const needed = new Set([...behind.flatMap(({ inputs }) => inputs), ...outputs]);
    const crossing = ['x', 'z', ...nodes.map(({ name }) => name)].filter(
      (name) => needed.has(name) && (made.has(name) || name === 'x' || name === 'z'),
    );
    found.push(crossing.join());
  }
  return found.sort();
}

test('the cuts of random graphs are exactly those that trying every set of nodes gives', () => {
  for (let seed = 0; seed < 200; seed++) {
    const random = new Random(seed);
    const model = randomModel(random, 1 + random.integer(9));
    assert.deepEqual(tensorsOf(model).sort(), cutsByTrying(model), `seed ${seed}`);
  }
});

test('random graphs compute the same in two and three stages', async () => {
  for (let seed = 0; seed < 12; seed++) {
    const model = randomModel(new Random(seed), 8);
    const feeds = seededInputs(model);
    const expected = await runModel(model, feeds);
    const values = await inferValues(model);
    const cuts = findCuts(model).map(({ tensors }) => tensors);
    for (const chain of chains(model, cuts)) {
      assert.ok(sameBytes(await runStages(await cutModel(model, chain, { values }), feeds), expected), `seed ${seed}`);
    }
  }
});

/** Groups cuts into few lists in which each cut lies behind the one before it, so that all are tried in few runs. */
function chains(model: Model, cuts: readonly (readonly string[])[]): (readonly string[])[][] {
  const before = cuts.map((tensors) => ancestors(model.graph, tensors));
  const bySize = [...cuts.keys()].sort((a, b) => (before[a]?.size ?? 0) - (before[b]?.size ?? 0));
  const lists: number[][] = [];
  for (const i of bySize) {
    const list = lists.find((candidate) => {
      const last = before[candidate.at(-1) as number] as Set<Node>;
      return [...last].every((node) => before[i]?.has(node)) && last.size < (before[i]?.size ?? 0);
    });
    if (list) list.push(i);
    else lists.push([i]);
  }
  return lists.map((list) => list.map((i) => cuts[i] as readonly string[]));
}

/** Nodes without constants that tensors depend on, captures by name included: written apart from the code under test. */
function ancestors(graph: Graph, tensors: readonly string[]): Set<Node> {
  const maker = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const found = new Set<Node>();
  const open = [...tensors];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const node = maker.get(name);
    if (!node || found.has(node)) continue;
    found.add(node);
    open.push(...namesIn(node));
  }
  return found;
}

function namesIn(node: Node): string[] {
  const inner = node.attributes.flatMap(({ value }) => (value.type === 'graph' ? value.g.nodes.flatMap(namesIn) : []));
  return [...node.inputs, ...inner];
}

test('at every cut of every shared model the stages compute what the model does, bit for bit', async (t) => {
  const dir = needsSharedData(t);
  if (!dir) return;
  for (const { name, path } of sharedModels(dir)) {
    const model = await readModel(path);
    const feeds = seededInputs(model, SHARED_DIMS);
    const expected = await runModel(path, feeds);
    const values = await inferValues(model);
    const cuts = findCuts(model).map(({ tensors }) => tensors);
    assert.ok(cuts.length >= 7, name);
    const lists = chains(model, cuts);
    for (const list of lists) {
      const stages = await cutModel(model, list, { values });
      assert.equal(stages.length, list.length + 1);
      assert.ok(sameBytes(await runStages(stages, feeds), expected), `${name}: ${list[0]} ... ${list.at(-1)}`);
    }
    t.diagnostic(`${name}: ${cuts.length} cuts in ${lists.length} chains of stages, all equal`);
  }
});

test('with optimisation on, two stages of a shared model predict the same', async (t) => {
  const dir = needsSharedData(t);
  if (!dir) return;
  for (const { name, path } of sharedModels(dir)) {
    const model = await readModel(path);
    const feeds = seededInputs(model, SHARED_DIMS);
    const expected = await runModel(path, feeds, 'all');
    const values = await inferValues(model);
    const cuts = findCuts(model).map(({ tensors }) => tensors);
    let largest = 0;
    for (const cut of new Random(5).fork(name).shuffle(cuts).slice(0, 6)) {
      const stages = await cutModel(model, [cut], { values });
      const { largest: here, samePredictions } = difference(expected, await runStages(stages, feeds, 'all'));
      assert.ok(samePredictions, `${name} cut at ${cut}`);
      largest = Math.max(largest, here);
    }
    t.diagnostic(`${name}: largest difference ${largest}`);
  }
});

test('a set that does not separate the graph is refused with the tensors that are missing', () => {
  const model = residual();
  assert.deepEqual(validateCut(model, ['b', 'a']), ['a', 'b']);
  assert.throws(() => validateCut(model, ['b']), {
    kind: 'invalid',
    message: 'a cut at b does not separate the graph: a must cross too',
    fix: 'cut at a,b',
  });
});

test('a model input that is needed later is missing too', () => {
  const g = new GraphBuilder({ name: 'mask' });
  const [x, mask] = [g.input('x', 'float32', [3]), g.input('mask', 'float32', [3])];
  g.output(g.node('Mul', [g.node('Relu', [x], {}, 'a'), mask], {}, 'y'), 'float32', [3]);
  assert.deepEqual(tensorsOf(g.build()), ['mask,a']);
  assert.throws(() => validateCut(g.build(), ['a']), { message: /mask must cross too/ });
});

test('sets that cut nothing, and names that are no tensors of the graph, are refused with the reason', () => {
  const model = residual();
  const refusals: [string[], RegExp, RegExp][] = [
    [[], /names no tensor/, /name the tensors/],
    [['x'], /no node comes before/, /a node makes/],
    [['y'], /no node comes behind/, /still needs/],
    [['a', 'sum'], /nothing behind a cut at a, sum needs a/, /cut at sum/],
    [['w'], /w is constant/, /leave it out/],
    [['summ'], /no tensor summ/, /did you mean sum/],
    [['b', 'nowhere'], /no tensor nowhere/, /./],
  ];
  for (const [tensors, message, fix] of refusals) {
    assert.throws(() => validateCut(model, tensors), { kind: 'invalid', message, fix }, `${tensors}`);
  }
  const [first] = model.graph.nodes;
  assert.ok(first);
  const renamed = {
    ...model,
    graph: { ...model.graph, nodes: [{ ...first, name: 'layer1' }, ...model.graph.nodes.slice(1)] },
  };
  assert.throws(() => validateCut(renamed, ['layer1']), { message: /layer1 is a node/, fix: /a$/ });
});

test('cuts out of order, twice the same, or across each other are refused', async () => {
  const model = residual();
  await assert.rejects(cutModel(model, [['c'], ['a']]), { kind: 'invalid', message: /out of order/ });
  await assert.rejects(cutModel(model, [['c'], ['c']]), { kind: 'invalid', message: /are the same/ });
  const g = new GraphBuilder({ name: 'branches' });
  const x = g.input('x', 'float32', [3]);
  g.output(g.node('Add', [g.node('Relu', [x], {}, 'l'), g.node('Sigmoid', [x], {}, 'r')], {}, 'y'), 'float32', [3]);
  await assert.rejects(
    cutModel(g.build(), [
      ['x', 'l'],
      ['x', 'r'],
    ]),
    { kind: 'invalid', message: /cross each other/ },
  );
});

test('stages take and give the tensors of the cut with type and shape, and have only the weights they need', async () => {
  const g = new GraphBuilder({ name: 'two' });
  const x = g.input('x', 'float32', ['N', 3]);
  const unused = g.input('unused', 'float32', [1]);
  const [w1, w2, both] = ['w1', 'w2', 'both'].map((name) => g.initializer(name, WEIGHT));
  g.node('Neg', [both], {}, 'negated');
  const a = g.node('Mul', [g.node('Mul', [x, w1]), 'negated'], {}, 'a');
  g.output(g.node('Mul', [g.node('Mul', [a, w2]), 'negated'], {}, 'y'), 'float32', ['N', 3]);
  const model = { ...g.build(), metadataProps: [{ key: 'k', value: 'v' }] };
  const [first, second] = await cutModel(model, [['a']]);
  assert.ok(first && second);
  const crossing = { kind: 'tensor', elemType: 1, shape: ['N', 3] };
  assert.deepEqual(
    first.graph.inputs.map(({ name }) => name),
    ['x', unused],
  );
  assert.deepEqual(
    first.graph.outputs.map(({ name, type }) => ({ name, type })),
    [{ name: 'a', type: crossing }],
  );
  assert.deepEqual(
    second.graph.inputs.map(({ name, type }) => ({ name, type })),
    [{ name: 'a', type: crossing }],
  );
  assert.deepEqual(second.graph.outputs, model.graph.outputs);
  const weights = (stage: Model) => stage.graph.initializers.map(({ name }) => name);
  assert.deepEqual(weights(first), ['w1', 'both']);
  assert.deepEqual(weights(second), ['w2', 'both']);
  assert.ok(second.graph.nodes.some(({ name }) => name === 'negated'));
  assert.deepEqual(second.metadataProps, model.metadataProps);
  assert.deepEqual(second.opsetImport, model.opsetImport);
});

test('what only a later stage needs, and an output made early, pass through the stages between', async () => {
  const g = new GraphBuilder({ name: 'long' });
  const [x, late] = [g.input('x', 'float32', [3]), g.input('late', 'float32', [3])];
  const early = g.node('Relu', [x], {}, 'early');
  const c = g.node('Neg', [g.node('Sigmoid', [early], {}, 'b')], {}, 'c');
  g.output(g.node('Add', [c, late], {}, 'y'), 'float32', [3]);
  g.output(early, 'float32', [3]);
  const model = g.build();
  assert.throws(() => validateCut(model, ['b']), { message: /late, early must cross too/ });
  const stages = await cutModel(model, [
    ['late', 'early'],
    ['late', 'early', 'b'],
    ['late', 'early', 'c'],
  ]);
  assert.deepEqual(
    stages[1]?.graph.inputs.map(({ name }) => name),
    ['late', 'early'],
  );
  assert.deepEqual(
    stages[2]?.graph.outputs.map(({ name }) => name),
    ['late', 'early', 'c'],
  );
  const feeds = seededInputs(model);
  for (const level of ['disabled', 'all'] as const) {
    assert.ok(sameBytes(await runStages(stages, feeds, level), await runModel(model, feeds, level)));
  }
});

/** A graph for a subgraph: Add of tensors of the graph around it. */
function capturing(name: string, outer: readonly [string, string]): Graph {
  const g = new GraphBuilder({ name });
  const own = g.initializer(`${name}_own`, WEIGHT);
  g.output(g.node('Sum', [own], {}, `${name}_out`), 'float32', [3]);
  const graph = g.buildGraph();
  return { ...graph, nodes: graph.nodes.map((node) => ({ ...node, inputs: [...node.inputs, ...outer] })) };
}

test('what the branches of an If capture crosses the cut before it', async () => {
  const g = new GraphBuilder({ name: 'if' });
  const [x, flag] = [g.input('x', 'float32', [3]), g.input('flag', 'bool', [])];
  g.initializer('w', WEIGHT);
  g.node('Relu', [x], {}, 'a');
  const b = g.node('Neg', ['a'], {}, 'b');
  const branches = { then_branch: capturing('then', ['a', 'w']), else_branch: capturing('else', ['b', 'b']) };
  const chosen = g.node('If', [flag], branches, 'chosen');
  g.output(g.node('Add', [chosen, b], {}, 'y'), 'float32', [3]);
  const model = g.build();
  assert.deepEqual(tensorsOf(model), ['flag,a', 'flag,a,b', 'b,chosen']);
  assert.throws(() => validateCut(model, ['flag', 'b']), { message: /a must cross too/ });
  assert.throws(() => validateCut(model, ['then_out']), { message: /inside the If node chosen/ });
  const stages = await cutModel(model, [
    ['flag', 'a'],
    ['flag', 'a', 'b'],
    ['b', 'chosen'],
  ]);
  assert.deepEqual(
    stages.map(({ graph }) => graph.initializers.map(({ name }) => name)),
    [[], [], ['w'], []],
  );
  for (const value of [0, 1]) {
    const feeds = { ...seededInputs(model), flag: new Tensor('bool', Uint8Array.of(value), []) };
    assert.ok(sameBytes(await runStages(stages, feeds), await runModel(model, feeds)));
  }
});

test('what the body of a Loop captures crosses the cut before it', async () => {
  const body = new GraphBuilder({ name: 'body' });
  body.input('i', 'int64', []);
  const go = body.input('go', 'bool', []);
  const state = body.input('state', 'float32', [3]);
  body.output(body.node('Identity', [go], {}, 'go_on'), 'bool', []);
  body.output(body.node('Sum', [state], {}, 'next'), 'float32', [3]);
  const graph = body.buildGraph();
  const nodes = graph.nodes.map((node) =>
    node.opType === 'Sum' ? { ...node, inputs: [...node.inputs, 'a', 'w'] } : node,
  );
  const g = new GraphBuilder({ name: 'loop' });
  const x = g.input('x', 'float32', [3]);
  g.initializer('w', WEIGHT);
  g.node('Relu', [x], {}, 'a');
  const start = g.node('Neg', [x], {}, 'start');
  const flag = g.initializer('flag', FLAG);
  const end = g.node('Loop', [g.int64(4), flag, start], { body: { ...graph, nodes } }, 'end');
  g.output(g.node('Relu', [end], {}, 'y'), 'float32', [3]);
  const model = g.build();
  assert.deepEqual(tensorsOf(model).sort(), ['a,start', 'end', 'x,a', 'x,start'].sort());
  const feeds = seededInputs(model);
  const expected = await runModel(model, feeds);
  for (const list of [
    [['x', 'a'], ['a', 'start'], ['end']],
    [['x', 'start'], ['end']],
  ]) {
    assert.ok(sameBytes(await runStages(await cutModel(model, list), feeds), expected));
  }
});

test('stages have the functions that they call, and those that these call', async () => {
  const g = new GraphBuilder({ name: 'functions' });
  g.useDomain('own', 1);
  const x = g.input('x', 'float32', [3]);
  const a = g.node('Outer', [x], {}, { domain: 'own', name: 'a' });
  g.output(g.node('Other', [a], {}, { domain: 'own', name: 'y' }), 'float32', [3]);
  const define = (name: string, opType: string, domain: string) => ({
    name,
    domain: 'own',
    overload: '',
    inputs: ['p'],
    outputs: ['q'],
    attributes: [],
    attributeProtos: [],
    nodes: [
      {
        name: '',
        opType,
        domain,
        inputs: ['p'],
        outputs: ['q'],
        attributes: [],
        docString: '',
        overload: '',
        metadataProps: [],
      },
    ],
    opsetImport: [
      { domain: '', version: 17 },
      { domain: 'own', version: 1 },
    ],
    valueInfo: [],
    docString: '',
    metadataProps: [],
  });
  const functions = [define('Inner', 'Neg', ''), define('Outer', 'Inner', 'own'), define('Other', 'Exp', '')];
  const model = { ...g.build(), functions };
  const stages = await cutModel(model, [['a']]);
  assert.deepEqual(
    stages.map((stage) => stage.functions.map(({ name }) => name)),
    [['Inner', 'Outer'], ['Other']],
  );
  const feeds = seededInputs(model);
  assert.ok(sameBytes(await runStages(stages, feeds), await runModel(model, feeds)));
});

test('random numbers are drawn in one stage and cross, never drawn twice', () => {
  const g = new GraphBuilder({ name: 'noise' });
  const x = g.input('x', 'float32', [3]);
  const noise = g.node('RandomNormal', [], { shape: [3] }, 'noise');
  const a = g.node('Add', [x, noise], {}, 'a');
  g.output(g.node('Sub', [a, noise], {}, 'y'), 'float32', [3]);
  assert.deepEqual(tensorsOf(g.build()), ['x,noise', 'noise,a']);
});

test('no cut goes through a sequence', async () => {
  const g = new GraphBuilder({ name: 'sequence' });
  const x = g.input('x', 'float32', [3]);
  const sequence = g.node('SequenceConstruct', [g.node('Relu', [x], {}, 'a')], {}, 'sequence');
  const same = g.node('Identity', [sequence], {}, 'same');
  const joined = g.node('ConcatFromSequence', [same], { axis: 0 }, 'joined');
  g.output(g.node('Relu', [joined], {}, 'y'), 'float32', [3]);
  const model = g.build();
  assert.deepEqual(tensorsOf(model), ['a', 'joined']);
  assert.throws(() => validateCut(model, ['same']), {
    kind: 'invalid',
    message: /only tensors can cross a cut, and same is none/,
  });
  const feeds = seededInputs(model);
  const stages = await cutModel(model, [['a'], ['joined']]);
  assert.ok(sameBytes(await runStages(stages, feeds), await runModel(model, feeds)));
});

/** Parallel branches of Relus between a stem and a sum. */
function comb(branches: number, length: number): Model {
  const g = new GraphBuilder({ name: 'comb' });
  const stem = g.node('Relu', [g.input('x', 'float32', [3])], {}, 'stem');
  const ends = Array.from({ length: branches }, (_, b) => {
    let at = stem;
    for (let i = 0; i < length; i++) at = g.node('Relu', [at], {}, `b${b}_${i}`);
    return at;
  });
  g.output(g.node('Relu', [g.node('Sum', ends, {}, 'sum')], {}, 'y'), 'float32', [3]);
  return g.build();
}

test('with too many combinations to list, each tensor is still in a cut, and every cut listed is one', () => {
  const model = comb(20, 5);
  const cuts = findCuts(model);
  assert.equal(new Set(cuts.map(({ tensors }) => tensors.join())).size, cuts.length);
  for (const { tensors } of cuts) assert.deepEqual(validateCut(model, tensors), tensors);
  const listed = new Set(cuts.flatMap(({ tensors }) => tensors));
  assert.deepEqual(
    [...listed].sort(),
    model.graph.nodes
      .map(({ name }) => name)
      .filter((name) => name !== 'y')
      .sort(),
  );
  for (const single of ['stem', 'sum'])
    assert.ok(
      cuts.some(({ tensors }) => tensors.join() === single),
      single,
    );
});

test('a graph of twenty thousand nodes side by side is listed', () => {
  const cuts = findCuts(comb(200, 100));
  assert.equal(cuts.at(-1)?.tensors.join(), 'sum');
  assert.ok(cuts.length >= 20_000);
});
