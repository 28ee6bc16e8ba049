import assert from 'node:assert/strict';
import test from 'node:test';
import { attributesOf } from '../../onnx/build/attributes.js';
import { GraphBuilder } from '../../onnx/build.js';
import { nodeCosts } from '../../onnx/cost.js';
import { inferValues, itemDims, type TensorType } from '../../onnx/infer.js';
import { type Attribute, DATA_TYPE, type Dim, dtypeOf, type Graph, type Model } from '../../onnx/model.js';
import { readModel } from '../../onnx/read.js';
import { evaluateDim } from '../../onnx/shapes/dims.js';
import { architecture } from '../../workloads/zoo/architectures.js';
import { randomWeights } from '../../workloads/zoo/weights.js';
import { type Feed, type RunType, runTypes } from '../support/one-node.js';
import { needsSharedData, sharedDataDir, sharedModels } from '../support/shared-data.js';

/** The model with every node output as an output. */
function exposed(model: Model): Model {
  const present = new Set(model.graph.outputs.map((output) => output.name));
  const names = model.graph.nodes.flatMap((node) => node.outputs).filter((name) => name !== '' && !present.has(name));
  const added = names.map((name) => ({ name, type: { kind: 'undefined' as const }, docString: '', metadataProps: [] }));
  return { ...model, graph: { ...model.graph, outputs: [...model.graph.outputs, ...added] } };
}

/** Feeds for a model whose symbols have these sizes; silero's sample rate is the one that it knows. */
function feeds(model: Model, sizes: Readonly<Record<string, number>>): Record<string, Feed> {
  const constants = new Set(model.graph.initializers.map((initializer) => initializer.name));
  return Object.fromEntries(
    model.graph.inputs.flatMap(({ name, type }) => {
      if (constants.has(name) || type.kind !== 'tensor') return [];
      const shape = (type.shape ?? []).map((dim) =>
        typeof dim === 'string' ? (sizes[dim] as number) : (dim as number),
      );
      const dtype = dtypeOf(type.elemType) as Feed['dtype'];
      return [[name, { dtype, shape, value: name === 'sr' ? [16000] : undefined }] as const];
    }),
  );
}

function symbolsOf(model: Model): string[] {
  const dims = model.graph.inputs.flatMap(({ type }) => (type.kind === 'tensor' ? (type.shape ?? []) : []));
  return [...new Set(dims.filter((dim) => typeof dim === 'string'))];
}

function check(
  values: ReadonlyMap<string, TensorType>,
  real: ReadonlyMap<string, RunType>,
  sizes: Readonly<Record<string, number>>,
): { known: number; total: number } {
  let known = 0;
  for (const [name, type] of real) {
    const value = values.get(name);
    if (!value) continue;
    assert.equal(value.dtype, type.dtype, name);
    assert.equal(value.shape.length, type.shape.length, name);
    for (const [axis, dim] of value.shape.entries()) {
      if (dim === undefined) continue;
      assert.equal(evaluateDim(dim, sizes), type.shape[axis], `${name} axis ${axis}: ${dim}`);
    }
    if (!value.shape.includes(undefined)) known++;
  }
  return { known, total: real.size };
}

for (const entry of sharedDataDir ? sharedModels(sharedDataDir) : []) {
  test(`types and shapes of ${entry.name} are those of a run`, async (t) => {
    const model = await readModel(entry.path);
    const whole = exposed(model);
    const symbols = symbolsOf(model);
    const byRules = await inferValues(model, { probe: false });
    const withProbe = await inferValues(model);
    const runs = [
      [1, 576],
      [3, 640],
    ].map(([batch, length]) =>
      Object.fromEntries(symbols.map((s) => [s, s === 'sequence' ? length : batch])),
    ) as Record<string, number>[];
    for (const sizes of runs) {
      // With its length free even ranks of silero depend on it (If over Squeeze); its batch stays free.
      const length: Record<string, number> = symbols.includes('sequence') ? { sequence: sizes.sequence as number } : {};
      const batchFree = await inferValues(model, { probe: false, dims: length });
      const real = await runTypes(whole, feeds(model, sizes));
      assert.ok(real, 'the model does not run with its inner tensors exposed');
      check(byRules, real, sizes);
      const { known, total } = check(batchFree, real, sizes);
      t.diagnostic(`${known} of ${total} tensors known by rules, batch free`);
      assert.ok(known >= 0.95 * total, `${known} of ${total}`);
      check(withProbe, real, sizes);
      const bound = await inferValues(model, { probe: false, dims: sizes });
      const numeric = check(bound, real, {});
      assert.ok(numeric.known >= 0.95 * total, `${numeric.known} of ${total} with symbols bound`);
      const probed = check(await inferValues(model, { dims: sizes }), real, {});
      assert.equal(probed.known, total, 'with symbols bound and a probe every tensor is known');
    }
  });
}

test('there are shared models', (t) => {
  needsSharedData(t);
});

/** A graph built with a function, of one input `x` of the given shape and the outputs that the function names. */
function built(shape: readonly Dim[], body: (g: GraphBuilder, x: string) => void, opset = 17): Model {
  const g = new GraphBuilder({ name: 'test', opset });
  body(g, g.input('x', 'float32', shape));
  g.output('y', 'float32');
  return g.build();
}

async function shapeOf(
  model: Model,
  name = 'y',
  dims: Record<string, number> = {},
): Promise<readonly Dim[] | undefined> {
  return (await inferValues(model, { probe: false, dims })).get(name)?.shape;
}

test('symbols pass through layers', async () => {
  const model = built(['N', 3, 224, 224], (g, x) => {
    const w = g.weight('w', [32, 3, 3, 3], () => new Float32Array(32 * 27));
    g.node('Conv', [x, w], { strides: [2, 2], pads: [1, 1, 1, 1] }, 'y');
  });
  assert.deepEqual(await shapeOf(model), ['N', 32, 112, 112]);
  assert.deepEqual(await shapeOf(model, 'y', { N: 1 }), [1, 32, 112, 112]);
  assert.deepEqual(itemDims(model), { N: 1 });
});

test('a symbolic size becomes an expression of what the layers do to it', async () => {
  const model = built(['N', 3, 'H', 'W'], (g, x) => {
    const w = g.weight('w', [8, 3, 3, 3], () => new Float32Array(8 * 27));
    const v = g.weight('v', [8, 8, 3, 3], () => new Float32Array(8 * 72));
    const first = g.node('Conv', [x, w], { strides: [2, 1], pads: [1, 1, 1, 1] });
    g.node('Conv', [first, v], { strides: [2, 1], pads: [1, 0, 1, 0] }, 'y');
  });
  const shape = await shapeOf(model);
  assert.deepEqual(shape, ['N', 8, 'floor((floor((H + 1)/2) + 1)/2)', 'W - 2']);
  for (const H of [1, 2, 7, 224]) {
    assert.equal(evaluateDim(shape?.[2], { H }), Math.floor((Math.floor((H + 1) / 2) + 1) / 2));
  }
});

test('shape arithmetic is followed: heads split from a symbolic batch and sequence', async () => {
  const model = built(['batch', 'sequence', 768], (g, x) => {
    const shape = g.node('Shape', [x]);
    const dim = (i: number) => g.node('Unsqueeze', [g.node('Gather', [shape, g.int64(i)], { axis: 0 }), g.int64([0])]);
    const heads = g.node('Concat', [dim(0), dim(1), g.int64([12]), g.int64([-1])], { axis: 0 });
    const split = g.node('Transpose', [g.node('Reshape', [x, heads])], { perm: [0, 2, 1, 3] });
    const scores = g.node('MatMul', [split, g.node('Transpose', [split], { perm: [0, 1, 3, 2] })], {}, 'scores');
    const joined = g.node('Transpose', [g.node('MatMul', [scores, split])], { perm: [0, 2, 1, 3] });
    const flat = g.node('Concat', [dim(0), dim(1), g.int64([-1])], { axis: 0 });
    g.node('Reshape', [joined, flat], {}, 'y');
    g.node('Reshape', [x, g.node('Concat', [g.node('Mul', [dim(0), dim(1)]), g.int64([-1])], { axis: 0 })], {}, 'rows');
    const pair = g.node('Concat', [dim(0), dim(1)], { axis: 0 });
    g.node('Range', [g.int64(0), g.node('Squeeze', [dim(1), g.int64([0])]), g.int64(1)], {}, 'positions');
    g.node('Expand', [g.node('Unsqueeze', ['positions', g.int64([0])]), pair], {}, 'ids');
    g.node('Slice', ['ids', g.int64([1]), g.int64([-1]), g.int64([1])], {}, 'inner');
  });
  const values = await inferValues(model, { probe: false });
  assert.deepEqual(values.get('scores')?.shape, ['batch', 12, 'sequence', 'sequence']);
  assert.deepEqual(values.get('y')?.shape, ['batch', 'sequence', 768]);
  assert.deepEqual(values.get('rows')?.shape, ['batch*sequence', 768]);
  assert.deepEqual(values.get('positions'), { dtype: DATA_TYPE.int64, shape: ['sequence'] });
  assert.deepEqual(values.get('ids')?.shape, ['batch', 'sequence']);
  // With a sequence of 1 nothing is left, not -1.
  assert.deepEqual(values.get('inner')?.shape, ['batch', undefined]);
});

test('a slice of everything keeps a size that its expression could make negative', async () => {
  const model = built(['N', 1, 'L'], (g, x) => {
    const y = g.node('Conv', [x, g.weight('w', [2, 1, 9], () => new Float32Array(18))], {});
    g.node('Slice', [y, g.int64([0]), g.int64([2 ** 40]), g.int64([2])], {}, 'y');
  });
  assert.deepEqual(await shapeOf(model), ['N', 2, 'L - 8']);
});

test('-1 in the target of an Expand is told apart from a symbol', async () => {
  const model = built(['N', 1, 4], (g, x) => {
    const shape = g.node('Shape', [x]);
    const dim = g.node('Slice', [shape, g.int64([0]), g.int64([1])]);
    const target = g.node('Concat', [dim, g.int64([-1]), g.int64([4])], { axis: 0 });
    const open = g.node('Equal', [target, g.int64([-1])]);
    g.node('Expand', [x, g.node('Where', [open, g.int64([1]), target])], {}, 'y');
  });
  assert.deepEqual(await shapeOf(model), ['N', 1, 4]);
});

test('what a rule cannot know stays open', async () => {
  const model = built(['N', 'M'], (g, x) => {
    const other = g.input('z', 'float32', ['K', 'M']);
    g.node('Add', [x, other], {}, 'y');
    g.node('NonZero', [x], {}, 'where');
    g.node('Reshape', [x, g.input('target', 'int64', [2])], {}, 'reshaped');
    g.node('Add', [x, g.input('five', 'float32', [5, 1])], {}, 'wide');
  });
  const values = await inferValues(model);
  assert.deepEqual(values.get('y')?.shape, [undefined, 'M']);
  assert.deepEqual(values.get('where'), { dtype: DATA_TYPE.int64, shape: [2, undefined] });
  assert.deepEqual(values.get('reshaped')?.shape, [undefined, undefined]);
  assert.deepEqual(values.get('wide')?.shape, [5, 'M']);
});

test('an initializer that is an input too is a default, not a constant, from IR version 4 on', async () => {
  const model = built([2, 6], (g, x) => g.node('Reshape', [x, g.int64([3, 4])], {}, 'y'));
  const [constant] = model.graph.initializers;
  assert.ok(constant);
  const input = {
    name: constant.name,
    type: { kind: 'tensor' as const, elemType: DATA_TYPE.int64, shape: [2] },
    docString: '',
    metadataProps: [],
  };
  const graph = { ...model.graph, inputs: [...model.graph.inputs, input] };
  assert.deepEqual(await shapeOf({ ...model, irVersion: 3, graph }), [3, 4]);
  assert.deepEqual(await shapeOf({ ...model, graph }), [undefined, undefined]);
});

function branch(name: string, body: (g: GraphBuilder) => void): Graph {
  const g = new GraphBuilder({ name });
  body(g);
  return g.buildGraph();
}

/** A node whose subgraphs read outer tensors, which the builder of the subgraph does not know. */
function withNode(model: Model, node: Model['graph']['nodes'][number]): Model {
  return { ...model, graph: { ...model.graph, nodes: [...model.graph.nodes, node] } };
}

function node(opType: string, inputs: string[], outputs: string[], attributes = {}): Model['graph']['nodes'][number] {
  return {
    name: outputs[0] ?? opType,
    opType,
    domain: '',
    inputs,
    outputs,
    attributes: attributesOf(attributes),
    docString: '',
    overload: '',
    metadataProps: [],
  };
}

test('If gives what its branches agree on, or the branch that a known condition takes', async () => {
  const columns = (size: number) =>
    branch(`columns${size}`, (g) => {
      g.node('ConstantOfShape', [g.int64([4, size])], {}, `c${size}`);
      g.output(`c${size}`, 'float32');
    });
  const model = built(['N', 2], (g, x) => g.node('Relu', [x], {}, 'y'));
  const input = { ...(model.graph.inputs[0] as Model['graph']['inputs'][number]), name: 'flag' };
  const flagged = {
    ...model,
    graph: {
      ...model.graph,
      inputs: [...model.graph.inputs, { ...input, type: { kind: 'tensor' as const, elemType: 9, shape: [] } }],
    },
  };
  const branches = { then_branch: columns(3), else_branch: columns(5) };
  const open = await inferValues(withNode(flagged, node('If', ['flag'], ['z'], branches)));
  assert.deepEqual(open.get('z')?.shape, [4, undefined]);
  assert.deepEqual(open.get('c3')?.shape, [4, 3], 'tensors of branches are known too');
  const constant = built(['N', 2], (g, x) => {
    g.node('Relu', [x], {}, 'y');
    g.node('Greater', [g.node('Size', [x]), g.int64(0)], {}, 'condition');
  });
  assert.deepEqual(await shapeOf(withNode(constant, node('If', ['condition'], ['z'], branches)), 'z'), [4, 3]);
});

test('a Loop unlearns a dimension that grows and keeps the others', async () => {
  const body = branch('body', (g) => {
    g.input('turn', 'int64', []);
    g.input('go', 'bool', []);
    g.input('state', 'float32', [1, 4]);
    g.output(g.node('Identity', ['go'], {}, 'again'), 'bool');
    g.output(g.node('Concat', ['state', 'state'], { axis: 0 }, 'grown'), 'float32');
    g.output(g.node('Relu', [g.node('ReduceSum', ['state', g.int64([0])], { keepdims: 0 })], {}, 'row'), 'float32');
  });
  const model = built([1, 4], (g, x) => {
    g.node('Relu', [x], {}, 'y');
    g.node('Not', [g.node('IsNaN', [g.float32(0)])], {}, 'go_in');
    g.int64(3);
  });
  const trips = model.graph.initializers.find((initializer) => initializer.dataType === DATA_TYPE.int64)
    ?.name as string;
  const looped = withNode(model, node('Loop', [trips, 'go_in', 'y'], ['final', 'rows'], { body }));
  const values = await inferValues(looped, { probe: false });
  assert.deepEqual(values.get('final')?.shape, [undefined, 4]);
  assert.deepEqual(values.get('rows')?.shape, [undefined, 4]);
});

for (const name of ['bert-small', 'resnext50_32x4d']) {
  test(`types and shapes of ${name} are those of a run`, async () => {
    const { model } = architecture(name).build(randomWeights(1));
    const symbols = symbolsOf(model);
    const values = await inferValues(model, { probe: false });
    for (const [batch, length] of [
      [1, 5],
      [2, 9],
    ]) {
      const sizes = Object.fromEntries(symbols.map((symbol) => [symbol, /seq/.test(symbol) ? length : batch]));
      const real = await runTypes(exposed(model), feeds(model, sizes as Record<string, number>));
      assert.ok(real);
      const { known, total } = check(values, real, sizes as Record<string, number>);
      assert.equal(known, total);
    }
  });
}

test("calls of the model's own functions are written out, attributes and operator sets included", async () => {
  const inner = (opType: string, inputs: string[], outputs: string[], attributes = {}) => ({
    ...node(opType, inputs, outputs, attributes),
  });
  const reduce = inner('ReduceMean', ['product'], ['out'], { keepdims: 0 });
  const axes = {
    ...(attributesOf({ axes: [1] })[0] as Attribute),
    refAttrName: 'over',
    value: { type: 'undefined' as const },
  };
  const definition = {
    name: 'MeanOfProduct',
    domain: 'local',
    overload: '',
    inputs: ['a', 'b'],
    outputs: ['out'],
    attributes: ['over'],
    attributeProtos: [],
    // ReduceMean takes its axes as an attribute before opset 18, as an input after.
    opsetImport: [{ domain: '', version: 13 }],
    nodes: [inner('MatMul', ['a', 'b'], ['product']), { ...reduce, attributes: [...reduce.attributes, axes] }],
    valueInfo: [],
    docString: '',
    metadataProps: [],
  };
  const base = built(
    ['N', 5, 4],
    (g, x) => {
      g.node('Relu', [x], {}, 'y');
      g.float32([1, 1, 1, 1]);
      g.int64([1]);
    },
    13,
  );
  const [weight, one] = base.graph.initializers.map(({ name }) => name) as [string, string];
  const call = { ...node('MeanOfProduct', ['y', 'w'], ['z'], { over: [1] }), domain: 'local' };
  const output = { name: 'z', type: { kind: 'undefined' as const }, docString: '', metadataProps: [] };
  const model: Model = {
    ...base,
    irVersion: 8,
    opsetImport: [...base.opsetImport, { domain: 'local', version: 1 }],
    functions: [definition],
    graph: {
      ...base.graph,
      nodes: [...base.graph.nodes, node('Unsqueeze', [weight, one], ['w']), call],
      outputs: [...base.graph.outputs, output],
    },
  };
  const values = await inferValues(model, { probe: false });
  assert.deepEqual(values.get('z/product')?.shape, ['N', 5, 1]);
  assert.deepEqual(values.get('z')?.shape, ['N', 1]);
  const real = await runTypes(model, { x: { dtype: 'float32', shape: [3, 5, 4] } });
  assert.deepEqual(real?.get('z')?.shape, [3, 1]);
  const item = await inferValues(model, { probe: false, dims: { N: 1 } });
  assert.equal(nodeCosts(model, item).get(call)?.macs, 5 * 4);
});

test('a size below nothing is no size', async () => {
  const model = built(['N', 1, 'L'], (g, x) => {
    g.node('Conv', [x, g.weight('w', [2, 1, 9], () => new Float32Array(18))], {}, 'y');
  });
  assert.deepEqual(await shapeOf(model, 'y', { L: 12 }), ['N', 2, 4]);
  assert.deepEqual(await shapeOf(model, 'y', { L: 3 }), ['N', 2, undefined]);
});

test('a Scan gives its states and, along the axis asked for, as many results as it takes turns', async () => {
  const body = branch('body', (g) => {
    g.input('sum_in', 'float32', [4]);
    g.input('row', 'float32', [4]);
    g.output(g.node('Add', ['sum_in', 'row'], {}, 'sum_out'), 'float32');
    g.output(g.node('Concat', ['row', 'sum_in'], { axis: 0 }, 'both'), 'float32');
  });
  const model = built([4, 'T'], (g, x) => {
    g.node('Relu', [x], {}, 'y');
    g.float32([0, 0, 0, 0]);
  });
  const zeros = model.graph.initializers[0]?.name as string;
  for (const [axis, want] of [
    [0, ['T', 8]],
    [-1, [8, 'T']],
  ] as const) {
    const attributes = { body, num_scan_inputs: 1, scan_input_axes: [1], scan_output_axes: [axis] };
    const scanned = withNode(model, node('Scan', [zeros, 'y'], ['sum', 'rows'], attributes));
    const values = await inferValues(scanned, { probe: false });
    assert.deepEqual(values.get('sum')?.shape, [4]);
    assert.deepEqual(values.get('rows')?.shape, want);
    const real = await runTypes(exposed(scanned), { x: { dtype: 'float32', shape: [4, 7] } });
    assert.ok(real);
    const { known, total } = check(values, real, { T: 7 });
    assert.equal(known, total);
  }
});

test('functions that unfold without end are refused', async () => {
  const functionOf = (depth: number) => ({
    name: `F${depth}`,
    domain: 'local',
    overload: '',
    inputs: ['a'],
    outputs: ['out'],
    attributes: [],
    attributeProtos: [],
    opsetImport: [{ domain: '', version: 17 }],
    nodes:
      depth === 0
        ? [node('Relu', ['a'], ['out'])]
        : [['a', 'middle'] as const, ['middle', 'out'] as const].map(([from, to]) => {
            return { ...node(`F${depth - 1}`, [from], [to]), domain: 'local' };
          }),
    valueInfo: [],
    docString: '',
    metadataProps: [],
  });
  const model = built(['N'], (g, x) => g.node('Relu', [x], {}, 'y'));
  const folded = (depth: number) => ({
    ...withNode(model, { ...node(`F${depth}`, ['y'], ['z']), domain: 'local' }),
    functions: Array.from({ length: depth + 1 }, (_, i) => functionOf(i)),
  });
  assert.deepEqual(await shapeOf(folded(4), 'z'), ['N']);
  await assert.rejects(shapeOf(folded(30), 'z'), { kind: 'invalid' });
});
