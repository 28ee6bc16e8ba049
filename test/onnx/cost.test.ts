import assert from 'node:assert/strict';
import test from 'node:test';
import type { Attributes } from '../../onnx/build/attributes.js';
import { GraphBuilder } from '../../onnx/build.js';
import { modelParameters, nodeCosts } from '../../onnx/cost.js';
import { inferValues, itemDims } from '../../onnx/infer.js';
import type { Dim, Model } from '../../onnx/model.js';
import { readModel } from '../../onnx/read.js';
import { ARCHITECTURES } from '../../workloads/zoo/architectures.js';
import { randomWeights } from '../../workloads/zoo/weights.js';
import { needsSharedData, sharedModels } from '../support/shared-data.js';

async function macs(model: Model, dims: Record<string, number> = itemDims(model)): Promise<number> {
  const costs = nodeCosts(model, await inferValues(model, { dims }));
  return [...costs.values()].reduce((total, cost) => total + cost.macs, 0);
}

/** A model of one node with float32 inputs of these shapes. */
function single(op: string, shapes: readonly (readonly Dim[])[], attributes: Attributes = {}): Model {
  const g = new GraphBuilder({ name: op });
  const inputs = shapes.map((shape, i) => g.input(`x${i}`, 'float32', shape));
  g.output(g.node(op, inputs, attributes, 'y'), 'float32');
  return g.build();
}

test('multiply-accumulates of single layers', async () => {
  const of = (op: string, shapes: (readonly Dim[])[], attributes: Attributes = {}) =>
    macs(single(op, shapes, attributes));
  assert.equal(
    await of(
      'Conv',
      [
        ['N', 3, 224, 224],
        [32, 3, 3, 3],
      ],
      { strides: [2, 2], pads: [1, 1, 1, 1] },
    ),
    10838016,
  );
  assert.equal(
    await of(
      'Conv',
      [
        ['N', 8, 10, 10],
        [8, 1, 3, 3],
      ],
      { group: 8 },
    ),
    8 * 8 * 8 * 9,
  );
  assert.equal(
    await of(
      'ConvTranspose',
      [
        ['N', 8, 10, 10],
        [8, 4, 2, 2],
      ],
      { strides: [2, 2] },
    ),
    8 * 100 * 4 * 4,
  );
  assert.equal(
    await of(
      'Gemm',
      [
        [7, 5],
        [3, 7],
      ],
      { transA: 1, transB: 1 },
    ),
    5 * 7 * 3,
  );
  assert.equal(
    await of('MatMul', [
      [2, 5, 7],
      [7, 3],
    ]),
    2 * 5 * 7 * 3,
  );
  assert.equal(await of('MatMul', [[7], [7]]), 7);
  assert.equal(
    await of(
      'Einsum',
      [
        [2, 5, 7],
        [2, 7, 3],
      ],
      { equation: 'bij,bjk->bik' },
    ),
    2 * 5 * 7 * 3,
  );
  assert.equal(await of('Einsum', [[5, 7]], { equation: 'ij->ji' }), 0);
  assert.equal(
    await of(
      'LSTM',
      [
        [9, 2, 3],
        [1, 20, 3],
        [1, 20, 5],
      ],
      { hidden_size: 5 },
    ),
    9 * 2 * 4 * 5 * (3 + 5),
  );
  assert.equal(
    await of(
      'GRU',
      [
        [9, 2, 3],
        [2, 15, 3],
        [2, 15, 5],
      ],
      { hidden_size: 5, direction: 'bidirectional' },
    ),
    9 * 2 * 2 * 3 * 5 * 8,
  );
  assert.equal(await of('Relu', [[5, 7]]), 0);
  assert.equal(await of('Add', [[5, 7], [7]]), 0);
});

test('a shape that is not known leaves the cost open', async () => {
  assert.ok(
    Number.isNaN(
      await macs(
        single('MatMul', [
          ['N', 'S', 7],
          [7, 3],
        ]),
      ),
    ),
  );
  assert.equal(
    await macs(
      single('MatMul', [
        ['N', 'S', 7],
        [7, 3],
      ]),
      { N: 1, S: 4 },
    ),
    4 * 7 * 3,
  );
});

test('a node answers for the weights that it is the first to read', async () => {
  const g = new GraphBuilder({ name: 'shared' });
  const x = g.input('x', 'float32', ['N', 4]);
  const w = g.weight('w', [4, 4], () => new Float32Array(16));
  const first = g.node('MatMul', [x, w], {}, 'first');
  g.output(g.node('MatMul', [first, w], {}, 'second'), 'float32');
  const model = g.build();
  const costs = nodeCosts(model, await inferValues(model, { dims: { N: 1 } }));
  assert.deepEqual(
    [...costs.values()].map((cost) => cost.parameters),
    [16, 0],
  );
  assert.equal(modelParameters(model), 16);
});

test('subgraphs: an If costs its larger branch, a Loop its body as often as it runs', async () => {
  const layer = (size: number) => {
    const g = new GraphBuilder({ name: `layer${size}` });
    const w = g.weight(`w${size}`, [4, size], () => new Float32Array(4 * size));
    const rows = g.node('ConstantOfShape', [g.int64([1, 4])], {}, `rows${size}`);
    g.output(g.node('MatMul', [rows, w], {}, `m${size}`), 'float32');
    return g.buildGraph();
  };
  const body = () => {
    const g = new GraphBuilder({ name: 'body' });
    g.input('turn', 'int64', []);
    g.input('go', 'bool', []);
    const state = g.input('state', 'float32', [1, 4]);
    g.output(g.node('Identity', ['go'], {}, 'again'), 'bool');
    g.output(g.node('MatMul', [state, g.weight('wb', [4, 4], () => new Float32Array(16))], {}, 'next'), 'float32');
    return g.buildGraph();
  };
  const g = new GraphBuilder({ name: 'test' });
  const flag = g.input('flag', 'bool', []);
  const x = g.input('x', 'float32', [1, 4]);
  g.node('If', [flag], { then_branch: layer(3), else_branch: layer(8) }, 'chosen');
  g.output(g.node('Loop', [g.int64(5), flag, x], { body: body() }, 'y'), 'float32');
  const model = g.build();
  const costs = nodeCosts(model, await inferValues(model));
  assert.deepEqual(
    [...costs.values()],
    [
      { macs: 32, parameters: 12 + 32 + 4 },
      { macs: 5 * 16, parameters: 16 + 1 },
    ],
  );
  assert.equal(modelParameters(model), 65);
});

test('parameters of every shared model are those that the manifest counts', async (t) => {
  const data = needsSharedData(t);
  if (!data) return;
  for (const entry of sharedModels(data)) {
    const model = await readModel(entry.path);
    assert.equal(modelParameters(model), entry.parameters, entry.name);
    const costs = nodeCosts(model, await inferValues(model, { dims: itemDims(model), probe: false }));
    const total = [...costs.values()].reduce((sum, cost) => sum + cost.parameters, 0);
    assert.equal(total, entry.parameters, `${entry.name}: sum over nodes`);
  }
});

test('known figures of published models', async (t) => {
  const data = needsSharedData(t);
  if (!data) return;
  // Millions of multiply-accumulates: MobileNet papers' tables 4 and 6 (569, 300, 41), ResNet and SqueezeNet by ptflops.
  const published: Record<string, [number, number]> = {
    'mobilenet_v2_1.0_224': [300.8, 0.1],
    mobilenetv2_torchvision_int8_qdq: [300.8, 0.1],
    'mobilenet_v1_0.25_128': [13.6, 0.2],
    'mobilenet_v1_0.75_192': [239, 1],
    resnet20_cifar10: [40.5, 0.4],
    resnet32_cifar10: [68.8, 0.6],
    resnet56_cifar10: [125.4, 1],
  };
  for (const entry of sharedModels(data)) {
    const model = await readModel(entry.path);
    const dims = { ...itemDims(model), sequence: 576 };
    const millions = (await macs(model, dims)) / 1e6;
    t.diagnostic(`${entry.name}: ${millions.toFixed(3)} M`);
    assert.ok(millions > 0, entry.name);
    const [figure, tolerance] = published[entry.name] ?? [millions, 0];
    assert.ok(Math.abs(millions - figure) <= tolerance, `${entry.name}: ${millions}, published ${figure}`);
  }
});

test('the zoo costs what its publishers say', async (t) => {
  // Billions of multiply-accumulates: torchvision's table of classification models at 224 x 224; the small ResNets
  // as chenyaofo/pytorch-cifar-models states them. The BERTs by hand, at 128
  // tokens: layers * (4 h h n + 2 n n h + 2 h i n), and h h of the pooler and 2 h of the classifier.
  const bert = (layers: number, h: number, i: number, n = 128) =>
    (layers * (4 * h * h * n + 2 * n * n * h + 2 * h * i * n) + h * h + 2 * h) / 1e9;
  const published: Record<string, number> = {
    wide_resnet101_2: 22.75,
    resnext101_64x4d: 15.46,
    wide_resnet50_2: 11.4,
    resnext50_32x4d: 4.23,
    'bert-base': bert(12, 768, 3072),
    'roberta-base': bert(12, 768, 3072),
    'bert-small': bert(4, 512, 2048),
    'roberta-tiny': bert(4, 512, 2048),
    resnet20: 0.041,
    resnet32: 0.069,
    resnet56: 0.126,
    mobilenet_v2: 0.3,
    'bert-mini': bert(4, 256, 1024),
    'bert-tiny': bert(2, 128, 512),
  };
  assert.deepEqual(Object.keys(published).sort(), ARCHITECTURES.map(({ name }) => name).sort());
  for (const { name, build } of ARCHITECTURES) {
    const { model } = build(randomWeights(1));
    const dims = Object.fromEntries(
      model.graph.inputs.flatMap(({ type }) =>
        (type.kind === 'tensor' ? (type.shape ?? []) : [])
          .filter((dim) => typeof dim === 'string')
          .map((dim) => [dim, /seq/.test(dim) ? 128 : 1]),
      ),
    );
    const billions = (await macs(model, dims)) / 1e9;
    t.diagnostic(`${name}: ${billions.toFixed(3)} G`);
    assert.ok(Math.abs(billions - (published[name] as number)) < 0.006, `${name}: ${billions}`);
  }
});
