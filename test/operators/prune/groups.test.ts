import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraphBuilder } from '../../../onnx/build.js';
import { modelParameters } from '../../../onnx/cost.js';
import { readModel } from '../../../onnx/read.js';
import { type PruningGroup, pruningGroups } from '../../../operators/prune/groups.js';
import { removeUnits } from '../../../operators/prune/remove.js';
import { buildBert } from '../../../workloads/zoo/bert.js';
import { buildResNet } from '../../../workloads/zoo/resnet.js';
import { randomWeights } from '../../../workloads/zoo/weights.js';
import { runModel, seededInputs } from '../../support/run-model.js';
import { needsSharedData, sharedModels } from '../../support/shared-data.js';
import { randomBranchy } from './random-branchy.js';
import { checkRemoval, someUnits } from './removal.js';

test('a random network without channels is the network with their weights set to zero', async () => {
  let removed = 0;
  const changed = new Set<string>();
  for (let seed = 1; seed <= 60; seed++) {
    const model = randomBranchy(seed);
    const grouping = await pruningGroups(model);
    const chosen = someUnits(grouping, 0.5, seed);
    const smaller = await checkRemoval(model, grouping, chosen);
    removed += chosen.size;
    smaller.graph.nodes.forEach((node, i) => {
      if (node !== grouping.model.graph.nodes[i]) changed.add(node.opType);
    });
  }
  assert.ok(removed > 500, `${removed} units`);
  for (const type of ['Conv', 'ConvTranspose', 'Split', 'Slice', 'Reshape', 'Pad']) {
    assert.ok(changed.has(type), `no ${type} was made smaller`);
  }
});

const BERT = { name: 'tiny', layers: 2, hidden: 24, heads: 4, intermediate: 40, vocabulary: 50, positions: 32 };
const SMALL = { ...BERT, labels: 3, layerNormEpsilon: 1e-5, padding: 0 };
const small = (family: 'bert' | 'roberta') =>
  buildBert({ ...SMALL, family, segments: family === 'bert' ? 2 : 1 }, randomWeights(3)).model;
const kinds = (groups: readonly PruningGroup[]) => groups.map(({ kind, units }) => `${units.length} ${kind}`);

for (const family of ['bert', 'roberta'] as const) {
  test(`heads and feed-forward neurons of ${family} go exactly, and leave a smaller model`, async () => {
    const model = small(family);
    const grouping = await pruningGroups(model);
    const exact = grouping.groups.filter(({ changes }) => changes === undefined);
    const layer = ['4 heads', '40 neurons'];
    assert.deepEqual(kinds(exact).toSorted(), [...layer, ...layer, '24 neurons'].toSorted());
    const chosen = someUnits({ groups: exact }, 0.5, 1);
    const smaller = await checkRemoval(model, grouping, chosen, { N: 2, sequence: 9 });
    assert.ok(modelParameters(smaller) < 0.75 * modelParameters(model));
    const target = smaller.graph.nodes.find(({ name }) => name === 'encoder.layer.0.attention.self.query.heads');
    assert.notEqual(target?.inputs[1], model.graph.nodes.find(({ name }) => name === target?.name)?.inputs[1]);
  });

  test(`features that ${family} normalises over are told apart, and can go`, async () => {
    const model = small(family);
    const grouping = await pruningGroups(model);
    const inexact = grouping.groups.filter(({ changes }) => changes !== undefined);
    assert.deepEqual(kinds(inexact), ['24 features']);
    assert.match(inexact[0]?.changes ?? '', /LayerNormalization.*normalises over them/);
    const smaller = await removeUnits(grouping, someUnits({ groups: inexact }, 0.5, 1));
    const { logits } = await runModel(smaller, seededInputs(model, { N: 2, sequence: 9 }));
    assert.deepEqual(logits?.dims, [2, 3]);
  });
}

test('a residual stream goes through all its blocks, and inner widths of grouped convolutions in whole groups', async () => {
  const config = { name: 'small', blocks: [2, 1], widthPerGroup: 16, classes: 5, stem: 8, imageSize: 32, groups: 8 };
  const { model } = buildResNet(config, randomWeights(2));
  const grouping = await pruningGroups(model);
  const stream = grouping.groups.find(({ name }) => name === 'layer1.0.conv3');
  assert.equal(stream?.units.length, 32);
  const convolutions = stream?.axes.filter(({ tensor }) => tensor.includes('conv') && tensor.endsWith('weight'));
  assert.deepEqual(convolutions?.map(({ tensor, axis }) => `${tensor} ${axis}`).toSorted(), [
    'layer1.0.conv3.weight 0',
    'layer1.1.conv1.weight 1',
    'layer1.1.conv3.weight 0',
    'layer2.0.conv1.weight 1',
  ]);
  const inner = grouping.groups.find(({ name }) => name === 'layer1.0.conv1');
  assert.deepEqual(inner?.units[0]?.indices[0], [0, 1], 'the two channels of a group');
  const smaller = await checkRemoval(model, grouping, someUnits(grouping, 0.5, 4));
  const node = smaller.graph.nodes.find(({ name }) => name === 'layer1.0.conv2');
  assert.deepEqual(node?.attributes.find(({ name }) => name === 'group')?.value, { type: 'int', i: 4n });
});

test('what the outputs of the model are cannot go, and is listed with the reason', async () => {
  const { groups, stays } = await pruningGroups(randomBranchy(1));
  const scores = stays.find(({ reason }) => reason.includes('scores'));
  assert.equal(scores?.units, 5);
  assert.equal(scores.reason, "they are the model's output scores");
  assert.ok(
    !groups.some(({ axes }) => axes.some(({ tensor }) => tensor === scores.axes[0]?.tensor && axes.length === 1)),
  );
});

test('what a node of an unknown type uses keeps its size, and so does what is added to it', async () => {
  const g = new GraphBuilder({ name: 'odd', opset: 18 });
  const x = g.input('x', 'float32', ['N', 4]);
  const weight = (name: string, rows: number, columns: number) =>
    g.weight(name, [rows, columns], () => new Float32Array(rows * columns).fill(0.1));
  const a = g.node('MatMul', [x, weight('a', 4, 6)]);
  const b = g.node('MatMul', [x, weight('b', 4, 6)]);
  const odd = g.node('CumSum', [a, g.int64(1)], {}, 'running');
  const sum = g.node('Add', [odd, b], {}, 'sum');
  g.output(g.node('MatMul', [sum, weight('c', 6, 2)]), 'float32');
  const { groups, stays } = await pruningGroups(g.build());
  assert.deepEqual(groups, []);
  assert.ok(stays.some(({ reason, axes }) => axes[0]?.tensor === 'a' && /running \(CumSum\)/.test(reason)));
  assert.ok(stays.some(({ reason, axes }) => axes.some(({ tensor }) => tensor === 'b') && /sum \(Add\)/.test(reason)));
});

test('channels, neurons and heads of the shared models go exactly', async (t) => {
  const data = needsSharedData(t);
  if (!data) return;
  for (const { path, name } of sharedModels(data)) {
    if (/silero|qdq|0\.75/.test(name)) continue;
    const model = await readModel(path);
    const grouping = await pruningGroups(model);
    const groups = grouping.groups.filter(({ changes }) => changes === undefined);
    const chosen = someUnits({ groups }, 0.4, 5);
    await checkRemoval(model, grouping, chosen, { N: 1, batch_size: 1 }, 1e-3);
    if (name !== 'magika_standard_v3_3') assert.ok(chosen.size > 0, name);
  }
});
