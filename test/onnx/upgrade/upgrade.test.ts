import assert from 'node:assert/strict';
import test from 'node:test';
import { TierbedError } from '../../../base/errors.js';
import { Random } from '../../../base/random.js';
import { float, floats, GraphBuilder } from '../../../onnx/build.js';
import { encodeModel } from '../../../onnx/encode.js';
import type { Model, Node } from '../../../onnx/model.js';
import { decodeModel, readModel } from '../../../onnx/read.js';
import { elementCount, float32Tensor } from '../../../onnx/tensor.js';
import { upgradeOpset } from '../../../onnx/upgrade/index.js';
import { type Feed, feedsOf, list, type OneNode, oneNodeModel, real, runModel } from '../../support/one-node.js';
import { runModel as runShared, SHARED_DIMS, sameBytes, seededInputs } from '../../support/run-model.js';
import { needsSharedData, sharedModels } from '../../support/shared-data.js';

const random = new Random(11);

/** Random elements. */
function noise(shape: readonly number[], dtype: Feed['dtype'] = 'float32', low = -3, high = 3): Feed {
  const value = Array.from({ length: elementCount(shape) }, () => random.uniform(low, high));
  return { dtype, shape, value: dtype.startsWith('float') ? value.map(Math.fround) : value.map(Math.round) };
}

const constant = (feed: Feed): Feed => ({ ...feed, constant: true });
const image = noise([2, 3, 6, 5]);
const stats = (low: number) => constant(noise([3], 'float32', low, 2));
const scales = (...value: number[]): Feed => constant({ dtype: 'float32', shape: [value.length], value });

/** Nodes of old form, by what is in question. */
const CASES: Readonly<Record<string, OneNode>> = {
  'Squeeze 7, axes': { op: 'Squeeze', opset: 7, inputs: [noise([1, 3, 1, 2])], attributes: { axes: [0, 2] } },
  'Squeeze 11, no axes': { op: 'Squeeze', opset: 11, inputs: [noise([1, 3, 1, 2])] },
  'Unsqueeze 11, axes': { op: 'Unsqueeze', opset: 11, inputs: [noise([3, 2])], attributes: { axes: [0, -1] } },
  'ReduceSum 11, axes': { op: 'ReduceSum', opset: 11, inputs: [image], attributes: { axes: [1, -1], keepdims: 0 } },
  'ReduceSum 7, all': { op: 'ReduceSum', opset: 7, inputs: [image] },
  'ReduceMean 9': { op: 'ReduceMean', opset: 9, inputs: [image], attributes: { axes: [2, 3] } },
  'ReduceMax 11': { op: 'ReduceMax', opset: 11, inputs: [image], attributes: { axes: [-1], keepdims: 0 } },
  'Split 7, sizes': { op: 'Split', opset: 7, inputs: [image], outputs: 2, attributes: { axis: 2, split: [4, 2] } },
  'Split 11, equal': { op: 'Split', opset: 11, inputs: [image], outputs: 3, attributes: { axis: 1 } },
  'Softmax 7, 4 axes': { op: 'Softmax', opset: 7, inputs: [image] },
  'Softmax 7, matrix': { op: 'Softmax', opset: 7, inputs: [noise([4, 7])] },
  'Softmax 7, N x C x 1 x 1': { op: 'Softmax', opset: 7, inputs: [noise([2, 5, 1, 1])] },
  'Softmax 9, axis 0': { op: 'Softmax', opset: 9, inputs: [noise([3, 4])], attributes: { axis: 0 } },
  'Softmax 11, axis -2': { op: 'Softmax', opset: 11, inputs: [image], attributes: { axis: -2 } },
  'Softmax 11, last axis': { op: 'Softmax', opset: 11, inputs: [image], attributes: { axis: 3 } },
  'LogSoftmax 11': { op: 'LogSoftmax', opset: 11, inputs: [image], attributes: { axis: 2 } },
  'Hardmax 7': { op: 'Hardmax', opset: 7, inputs: [image] },
  'Clip 7, both': { op: 'Clip', opset: 7, inputs: [image], attributes: { min: float(0), max: float(1) } },
  'Clip 7, max alone': { op: 'Clip', opset: 7, inputs: [image], attributes: { max: 0.3 } },
  'Pad 7, double': {
    op: 'Pad',
    opset: 7,
    inputs: [noise([4], 'float64')],
    attributes: { pads: [1, 2], value: 0.1 },
  },
  'Pad 7, value': {
    op: 'Pad',
    opset: 7,
    inputs: [image],
    attributes: { pads: [0, 0, 1, 2, 0, 0, 0, -1], value: 1.5 },
  },
  'Pad 10, reflect': {
    op: 'Pad',
    opset: 10,
    inputs: [image],
    attributes: { pads: [0, 0, 1, 2, 0, 0, 2, 1], mode: 'reflect' },
  },
  'Slice 7': { op: 'Slice', opset: 7, inputs: [image], attributes: { starts: [1, -3], ends: [3, 9], axes: [2, 3] } },
  'Slice 9, no axes': { op: 'Slice', opset: 9, inputs: [image], attributes: { starts: [0, 1], ends: [1, -1] } },
  'Dropout 7': { op: 'Dropout', opset: 7, inputs: [image], attributes: { ratio: 0.3 } },
  'Dropout 10': { op: 'Dropout', opset: 10, inputs: [image] },
  'Upsample 7, nearest': {
    op: 'Upsample',
    opset: 7,
    inputs: [image],
    attributes: { scales: floats([1, 1, 2, 3]) },
  },
  'Upsample 9, nearest': { op: 'Upsample', opset: 9, inputs: [image, scales(1, 1, 2.3, 1.7)] },
  'Upsample 9, linear': {
    op: 'Upsample',
    opset: 9,
    inputs: [image, scales(1, 1, 2, 1.6)],
    attributes: { mode: 'linear' },
  },
  'Resize 10, nearest, longer': { op: 'Resize', opset: 10, inputs: [image, scales(1, 1, 2.6, 1.3)] },
  'Resize 10, nearest, shorter': { op: 'Resize', opset: 10, inputs: [noise([1, 2, 9, 8]), scales(1, 1, 0.6, 0.7)] },
  'Resize 10, linear, both': {
    op: 'Resize',
    opset: 10,
    inputs: [image, scales(1, 1, 0.6, 2.5)],
    attributes: { mode: 'linear' },
  },
  'Resize 11, half pixel': {
    op: 'Resize',
    opset: 11,
    inputs: [image, scales(), scales(1, 1, 2, 2)],
    attributes: { mode: 'linear', coordinate_transformation_mode: 'half_pixel' },
  },
  'BatchNormalization 7': {
    op: 'BatchNormalization',
    opset: 7,
    inputs: [image, stats(-2), stats(-2), stats(-2), stats(0.5)],
    attributes: { spatial: 1, epsilon: 1e-3 },
  },
  'BatchNormalization 9': {
    op: 'BatchNormalization',
    opset: 9,
    inputs: [image, stats(-2), stats(-2), stats(-2), stats(0.5)],
  },
  'TopK 7': { op: 'TopK', opset: 7, inputs: [image], outputs: 2, attributes: { k: 2, axis: 2 } },
  'TopK 10': { op: 'TopK', opset: 10, inputs: [image, list([3])], outputs: 2 },
  'Gemm 7': { op: 'Gemm', opset: 7, inputs: [noise([2, 3]), noise([3, 4]), noise([4])], attributes: { beta: 0.5 } },
  'MaxPool 8': { op: 'MaxPool', opset: 8, inputs: [image], attributes: { kernel_shape: [2, 2], strides: [2, 2] } },
  'AveragePool 7': {
    op: 'AveragePool',
    opset: 7,
    inputs: [image],
    attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1] },
  },
  'AveragePool 10, ceil': {
    op: 'AveragePool',
    opset: 10,
    inputs: [image],
    attributes: { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 },
  },
  'Cast 7': { op: 'Cast', opset: 7, inputs: [image], attributes: { to: 6 } },
  'Reshape 7': { op: 'Reshape', opset: 7, inputs: [image, list([0, -1])] },
  'Add 7': { op: 'Add', opset: 7, inputs: [image, noise([3, 1, 1])] },
  'Max 8': { op: 'Max', opset: 8, inputs: [image, noise([5])] },
  'ConstantOfShape 9': {
    op: 'ConstantOfShape',
    opset: 9,
    inputs: [list([2, 3])],
    attributes: { value: float32Tensor([1], Float32Array.of(4)) },
  },
  'Equal 7': { op: 'Equal', opset: 7, inputs: [noise([9], 'int32'), noise([9], 'int32')] },
  'Where 9': { op: 'Where', opset: 9, inputs: [noise([5], 'bool', 0, 1), noise([5]), noise([5])] },
  'DepthToSpace 7': { op: 'DepthToSpace', opset: 7, inputs: [noise([1, 8, 2, 2])], attributes: { blocksize: 2 } },
  'Scatter 9': {
    op: 'Scatter',
    opset: 9,
    inputs: [noise([3, 3]), { dtype: 'int64', shape: [1, 2], value: [1, 2] }, noise([1, 2])],
  },
  'OneHot 9': { op: 'OneHot', opset: 9, inputs: [list([0, 2, 5]), list([4]), noise([2])] },
  'ArgMax 7': { op: 'ArgMax', opset: 7, inputs: [image], attributes: { axis: 1 } },
  'PRelu 7': { op: 'PRelu', opset: 7, inputs: [image, noise([3, 1, 1])] },
  'RoiAlign 10': {
    op: 'RoiAlign',
    opset: 10,
    inputs: [image, constant({ dtype: 'float32', shape: [1, 4], value: [0, 0, 4, 4] }), list([0])],
    attributes: { output_height: 2, output_width: 3, sampling_ratio: 2 },
  },
  'GRU 7': {
    op: 'GRU',
    opset: 7,
    inputs: [noise([2, 1, 3]), noise([1, 6, 3]), noise([1, 6, 2])],
    outputs: 2,
    attributes: { hidden_size: 2 },
  },
  'ConvTranspose 7': {
    op: 'ConvTranspose',
    opset: 7,
    inputs: [image, noise([3, 2, 3, 3])],
    attributes: { strides: [2, 2] },
  },
  'InstanceNormalization 7': { op: 'InstanceNormalization', opset: 7, inputs: [image, stats(0.5), stats(0.5)] },
};

test('each old form, written in the new one, gives what the runtime gives for the old, bit for bit', async () => {
  for (const [name, node] of Object.entries(CASES)) {
    const model = oneNodeModel(node);
    const feeds = feedsOf(node);
    const before = await runModel(model, feeds);
    assert.ok(before, `${name}: the runtime refuses the old form`);
    for (const target of [13, 17, 18]) {
      const { model: upgraded, facts } = await upgradeOpset(model, target);
      decodeModel(encodeModel(upgraded));
      assert.equal(upgraded.opsetImport[0]?.version, target);
      assert.deepEqual([facts.from, facts.to], [node.opset, target]);
      const after = await runModel(upgraded, feeds);
      assert.ok(after, `${name}: the runtime refuses it at ${target}`);
      assert.deepEqual(after, before, `${name} at ${target}`);
    }
  }
});

test('what differs between old and new is written in another form, and what does not stays the same node', async () => {
  const forms = async (name: string): Promise<string[]> => {
    const { model } = await upgradeOpset(oneNodeModel(CASES[name] as OneNode), 17);
    return model.graph.nodes.map(({ opType }) => opType);
  };
  assert.deepEqual(await forms('Softmax 7, 4 axes'), ['Shape', 'Flatten', 'Softmax', 'Reshape']);
  assert.deepEqual(await forms('Softmax 7, N x C x 1 x 1'), ['Softmax']);
  assert.deepEqual(await forms('Upsample 9, linear'), ['Resize']);
  assert.deepEqual(await forms('Pad 7, double'), ['Cast', 'Pad']);
  for (const name of ['Add 7', 'Softmax 11, last axis', 'BatchNormalization 9', 'Dropout 10', 'Squeeze 11, no axes']) {
    const old = oneNodeModel(CASES[name] as OneNode);
    const { model, facts } = await upgradeOpset(old, 17);
    assert.deepEqual(facts.changed, {}, name);
    assert.equal(model.graph, old.graph, name);
  }
  const mean = CASES['ReduceMean 9'] as OneNode;
  assert.deepEqual((await upgradeOpset(oneNodeModel(mean), 17)).facts.changed, {});
  assert.deepEqual((await upgradeOpset(oneNodeModel(mean), 18)).facts.changed, { ReduceMean: 1 });
});

test('what newer versions cannot say, or is not known, is refused by the name of the node', async () => {
  const refused: Readonly<Record<string, OneNode>> = {
    'not known': { op: 'Affine', opset: 8, inputs: [image] },
    'statistics of its own': {
      op: 'BatchNormalization',
      opset: 7,
      inputs: [image, real([3, 6, 5]), real([3, 6, 5]), real([3, 6, 5]), real([3, 6, 5])],
      attributes: { spatial: 0 },
    },
    batch: { op: 'Scan', opset: 8, inputs: [image] },
    'not constant': { op: 'Resize', opset: 10, inputs: [image, { dtype: 'float32', shape: [4] }] },
    'one axis longer': { op: 'Resize', opset: 10, inputs: [image, scales(1, 1, 0.5, 2)] },
    tf_half_pixel_for_nn: {
      op: 'Resize',
      opset: 11,
      inputs: [image, scales(), scales(1, 1, 2, 2)],
      attributes: { coordinate_transformation_mode: 'tf_half_pixel_for_nn' },
    },
    mask: { op: 'Dropout', opset: 10, inputs: [image], outputs: 2 },
    'in training alone': {
      op: 'BatchNormalization',
      opset: 9,
      inputs: [image, real([3]), real([3]), real([3]), real([3])],
      outputs: 3,
    },
  };
  for (const [why, node] of Object.entries(refused)) {
    await assert.rejects(upgradeOpset(oneNodeModel(node), 17), (error) => {
      assert.ok(error instanceof TierbedError && error.kind === 'invalid' && error.fix);
      assert.match(error.message, new RegExp(`^node node \\(${node.op}\\).*${why}`));
      return true;
    });
  }
  await assert.rejects(upgradeOpset(oneNodeModel({ op: 'Relu', opset: 6, inputs: [image] }), 17), /opset 6/);
  await assert.rejects(upgradeOpset(oneNodeModel({ op: 'Relu', opset: 9, inputs: [image] }), 19), /opset 19/);
});

test('a model that is as new already, or newer, is the same model', async () => {
  for (const opset of [17, 20]) {
    const model = oneNodeModel({ op: 'Relu', opset, inputs: [image] });
    const { model: same, facts } = await upgradeOpset(model, 17);
    assert.equal(same, model);
    assert.deepEqual(facts, { from: opset, to: opset, changed: {} });
  }
});

test('the old trained models compute what they did, bit for bit', async (t) => {
  const data = needsSharedData(t);
  if (!data) return;
  const upgradedFrom: number[] = [];
  for (const { name, path } of sharedModels(data)) {
    const model = await readModel(path);
    const feeds = seededInputs(model, SHARED_DIMS);
    for (const target of [17, 18]) {
      const { model: upgraded, facts } = await upgradeOpset(model, target);
      if (facts.to === facts.from) continue;
      upgradedFrom.push(facts.from);
      const bytes = encodeModel(upgraded);
      decodeModel(bytes);
      assert.ok(sameBytes(await runShared(path, feeds), await runShared(bytes, feeds)), `${name} at ${target}`);
      t.diagnostic(`${name}: ${JSON.stringify(facts)}`);
    }
  }
  for (const version of [8, 9, 15]) assert.ok(upgradedFrom.includes(version), `${version}`);
});

test('nodes of subgraphs and functions are upgraded where they are; a function gets its constants as nodes', async () => {
  const inner = new GraphBuilder({ name: 'then', opset: 11 });
  const one = inner.initializer('one', float32Tensor([1, 2], Float32Array.of(1, 2)));
  inner.output(inner.node('Squeeze', [one], { axes: [0] }, 'then_out'), 'float32');
  const g = new GraphBuilder({ name: 'g', opset: 11 });
  const flag = g.input('flag', 'bool', []);
  const branch = inner.buildGraph();
  const y = g.node('If', [flag], { then_branch: branch, else_branch: branch }, 'y');
  g.useDomain('own', 1);
  g.output(g.node('Widen', [y], {}, { name: 'z', domain: 'own' }), 'float32');
  const base = g.build();
  const widen = new GraphBuilder({ name: 'f', opset: 11 });
  widen.output(widen.node('Unsqueeze', [widen.input('a', 'float32', [2])], { axes: [1] }, 'b'), 'float32');
  const nodes: readonly Node[] = widen.buildGraph().nodes;
  const model: Model = {
    ...base,
    irVersion: 8,
    functions: [
      {
        name: 'Widen',
        domain: 'own',
        overload: '',
        inputs: ['a'],
        outputs: ['b'],
        attributes: [],
        attributeProtos: [],
        nodes,
        opsetImport: [{ domain: '', version: 11 }],
        valueInfo: [],
        docString: '',
        metadataProps: [],
      },
    ],
  };
  const { model: upgraded, facts } = await upgradeOpset(model, 17);
  decodeModel(encodeModel(upgraded));
  assert.deepEqual(facts.changed, { Squeeze: 2, Unsqueeze: 1 });
  assert.deepEqual(
    upgraded.functions[0]?.nodes.map(({ opType }) => opType),
    ['Constant', 'Unsqueeze'],
  );
  const feeds = { flag: { dtype: 'bool', shape: [], value: [1] } } as const;
  const after = await runModel(upgraded, feeds);
  assert.deepEqual(after?.get('z'), { dtype: 1, shape: [2, 1], elements: [1, 2] });
  assert.deepEqual(await runModel(model, feeds), after);
});

test('weights of a model of IR version 3 are no inputs afterwards', async () => {
  const { model } = await upgradeOpset({ ...oneNodeModel(CASES['Gemm 7'] as OneNode), irVersion: 3 }, 17);
  assert.equal(model.irVersion, 8);
  const node = CASES['Upsample 9, nearest'] as OneNode;
  const base = oneNodeModel(node);
  const info = {
    name: 'in1',
    type: { kind: 'tensor', elemType: 1, shape: [4] },
    docString: '',
    metadataProps: [],
  } as const;
  const listed = { ...base, irVersion: 3, graph: { ...base.graph, inputs: [...base.graph.inputs, info] } };
  assert.deepEqual(
    (await upgradeOpset(listed, 17)).model.graph.inputs.map(({ name }) => name),
    ['in0'],
  );
});
