import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraphBuilder } from '../../../onnx/build.js';
import { operator } from '../../../operators/index.js';
import { noise, type PartitionFacts, partitioned, runStages, widths, workloadOf } from './support.js';

/** 4096, 512, 512, 4096 and 128 multiply-accumulates; 256, 32, 256, 256 and 8 bytes cross behind them. */
const SIZES = [64, 64, 8, 64, 64, 2];

const cutsOf = (facts: PartitionFacts) => facts.cuts.map(({ tensors }) => tensors.join());

test('without options the fewest bytes cross, and every stage has a tenth of the work', async (t) => {
  const work = await workloadOf(t, widths(SIZES));
  const { variant, facts } = await partitioned(work, {});
  assert.equal(variant.stages.length, 2);
  assert.deepEqual(cutsOf(facts), ['layer1']);
  assert.equal(facts.cuts[0]?.bytes, 32);
  assert.deepEqual(
    facts.stages.map(({ macs, parameters }) => [macs, parameters]),
    [
      [4608, 4608],
      [4736, 4736],
    ],
  );
  assert.match(facts.why, /fewest bytes/);
  assert.deepEqual((await partitioned(work, { mode: 'narrowest' })).facts.cuts, facts.cuts);
});

test('the least share decides what counts as a stage', async (t) => {
  const work = await workloadOf(t, widths(SIZES));
  assert.deepEqual(cutsOf((await partitioned(work, { minShare: 0 })).facts), ['layer4']);
  assert.deepEqual(cutsOf((await partitioned(work, { minShare: 0.49 })).facts), ['layer1']);
  await assert.rejects(partitioned(work, { minShare: 0.5 }), { kind: 'invalid', fix: /minShare/ });
});

test('three stages each have their share', async (t) => {
  const work = await workloadOf(t, widths(SIZES));
  const { variant, facts } = await partitioned(work, { stages: 3 });
  assert.equal(variant.stages.length, 3);
  assert.deepEqual(cutsOf(facts), ['layer0', 'layer2']);
  assert.deepEqual(
    facts.stages.map(({ macs }) => macs),
    [4096, 1024, 4224],
  );
});

test('balanced makes the largest stage as small as it can be', async (t) => {
  const work = await workloadOf(t, widths(SIZES));
  for (const by of ['macs', 'parameters', undefined]) {
    const { facts } = await partitioned(work, { mode: 'balanced', ...(by && { by }) });
    assert.deepEqual(cutsOf(facts), ['layer1'], by);
  }
  // 100, 200, 300, 210 and 98.
  const even = await workloadOf(t, widths([10, 10, 20, 15, 14, 7]));
  const { facts } = await partitioned(even, { mode: 'balanced', stages: 3 });
  const macs = facts.stages.map((stage) => stage.macs as number);
  assert.deepEqual(macs, [300, 300, 308]);
});

test('of cuts that are as balanced the narrowest is taken', async (t) => {
  // Reductions and activations cost no multiply-accumulates: the cut is where they have made the tensor small.
  const g = new GraphBuilder({ name: 'pooled' });
  const x = g.input('x', 'float32', [1, 4, 8, 8]);
  const conv = (from: string, name: string): string =>
    g.node('Conv', [from, g.weight(`${name}.w`, [4, 4, 1, 1], () => new Float32Array(16).fill(0.2))], {}, name);
  const pool = g.node('AveragePool', [g.node('Relu', [conv(x, 'a')], {}, 'b')], { kernel_shape: [8, 8] }, 'c');
  const wide = g.node('Expand', [pool, g.int64([1, 4, 8, 8])], {}, 'd');
  g.output(conv(wide, 'e'), 'float32', [1, 4, 8, 8]);
  const work = await workloadOf(t, g.build());
  assert.deepEqual(cutsOf((await partitioned(work, { mode: 'balanced' })).facts), ['c']);
});

test('an activation stays with what it is fused with', async (t) => {
  const g = new GraphBuilder({ name: 'activated' });
  const weight = (name: string): string => g.weight(name, [8, 8], () => new Float32Array(64).fill(0.1));
  const first = g.node('MatMul', [g.input('x', 'float32', [1, 8]), weight('w1')], {}, 'first');
  const second = g.node('MatMul', [g.node('Relu', [first], {}, 'activation'), weight('w2')], {}, 'second');
  g.output(g.node('Relu', [second], {}, 'out'), 'float32', [1, 8]);
  const work = await workloadOf(t, g.build());
  assert.deepEqual(cutsOf((await partitioned(work, {})).facts), ['activation']);
  assert.deepEqual(cutsOf((await partitioned(work, { mode: 'balanced' })).facts), ['activation']);
});

test('cuts of three stages do not cross each other', async (t) => {
  // Two branches: what is before a cut in one of them is not before every cut in the other.
  const g = new GraphBuilder({ name: 'branches' });
  const x = g.input('x', 'float32', [1, 32]);
  const layer = (from: string, name: string, size: [number, number]): string =>
    g.node(
      'MatMul',
      [from, g.weight(`${name}.w`, size, () => new Float32Array(size[0] * size[1]).fill(0.01))],
      {},
      name,
    );
  const left = layer(layer(layer(x, 'l1', [32, 4]), 'l2', [4, 32]), 'l3', [32, 16]);
  const right = layer(layer(layer(x, 'r1', [32, 4]), 'r2', [4, 32]), 'r3', [32, 16]);
  g.output(layer(g.node('Add', [left, right], {}, 'sum'), 'out', [16, 2]), 'float32', [1, 2]);
  const work = await workloadOf(t, g.build(), { evaluation: [[noise('x', [1, 32])]] });
  for (const options of [{ stages: 3 }, { stages: 3, minShare: 0 }, { mode: 'balanced', stages: 3 }]) {
    const { variant } = await partitioned(work, options);
    const item = [noise('x', [1, 32])];
    assert.deepEqual(await runStages(variant.stages, item), await runStages([work.modelPath], item));
  }
});

test('parameters and multiply-accumulates are balanced each for itself', async (t) => {
  const g = new GraphBuilder({ name: 'embedded' });
  const ids = g.input('ids', 'int64', [1, 4]);
  const table = g.weight('table', [100, 8], () => new Float32Array(800).fill(0.1));
  let last = g.node('Gather', [table, ids], {}, 'embedded');
  for (let i = 0; i < 4; i++) {
    last = g.node('MatMul', [last, g.weight(`w${i}`, [8, 8], () => new Float32Array(64).fill(0.1))], {}, `m${i}`);
  }
  g.output(g.node('Relu', [last], {}, 'out'), 'float32', [1, 4, 8]);
  const work = await workloadOf(t, g.build());
  assert.deepEqual(cutsOf((await partitioned(work, { mode: 'balanced', by: 'parameters' })).facts), ['embedded']);
  assert.deepEqual(cutsOf((await partitioned(work, { mode: 'balanced', by: 'macs' })).facts), ['m1']);
});

test('what crosses is that of an item: free dimensions have its sizes', async (t) => {
  const evaluation = [[noise('x', [12, 64])]];
  const work = await workloadOf(t, widths(SIZES), { evaluation });
  const { facts } = await partitioned(work, {});
  assert.deepEqual(facts.itemShapes, { x: [12, 64] });
  assert.equal(facts.cuts[0]?.bytes, 12 * 32);
  assert.equal(facts.stages[0]?.macs, 12 * 4608);
  // Another item is another result, and no cached one is taken for it.
  const other = { ...work, items: (await workloadOf(t, widths(SIZES), { evaluation: [[noise('x', [3, 64])]] })).items };
  assert.equal((await partitioned(other, {})).facts.cuts[0]?.bytes, 3 * 32);
});

test('balanced by time measures stages on an item', async (t) => {
  const item = [noise('x', [1, 64])];
  const work = await workloadOf(t, widths([64, 512, 512, 512, 512, 64]), { evaluation: [item] });
  for (const stages of [2, 3]) {
    const { variant, facts } = await partitioned(work, { mode: 'balanced', by: 'time', stages });
    assert.equal(variant.stages.length, stages);
    assert.equal(facts.stageMs?.length, stages);
    assert.ok((facts.wholeMs as number) > 0 && facts.stageMs.every((ms) => ms > 0));
    assert.deepEqual(await runStages(variant.stages, item), await runStages([work.modelPath], item));
  }
  const empty = await workloadOf(t, widths(SIZES));
  await assert.rejects(partitioned(empty, { mode: 'balanced', by: 'time' }), { kind: 'invalid', fix: /macs/ });
});

test('the published cuts are known by their names', async (t) => {
  const image = new GraphBuilder({ name: 'image' });
  const block = image.node('Relu', [image.input('input', 'float32', [1, 4])], {}, 'layer3.16');
  image.output(image.node('Relu', [block], {}, 'logits'), 'float32', [1, 4]);
  const picture = await partitioned(await workloadOf(t, image.build()), { mode: 'paper' });
  assert.deepEqual(picture.facts.cuts[0]?.tensors, ['layer3.16']);
  assert.match(picture.facts.why, /2411\.00907/);

  const text = new GraphBuilder({ name: 'text' });
  const ids = text.input('ids', 'float32', [1, 4]);
  const [embeddings, bias] = [
    text.node('Relu', [ids], {}, 'embeddings'),
    text.node('Neg', [ids], {}, 'attention_bias'),
  ];
  const layer = text.node('Add', [embeddings, bias], {}, 'layer');
  text.output(text.node('Add', [layer, bias], {}, 'logits'), 'float32', [1, 4]);
  const words = await partitioned(await workloadOf(t, text.build()), { mode: 'paper' });
  assert.deepEqual(words.facts.cuts[0]?.tensors, ['embeddings', 'attention_bias']);

  await assert.rejects(partitioned(await workloadOf(t, widths(SIZES)), { mode: 'paper' }), {
    kind: 'invalid',
    message: /layer3\.16.*embeddings and attention_bias.*no such tensors/,
  });
});

test('options that do not go together are refused before anything is built', () => {
  const partition = operator('partition');
  const check = (options: object) => partition.check?.({ ...options }, ['w']);
  const cases: [object, RegExp][] = [
    [{ at: ['a'], mode: 'balanced' }, /'mode' beside 'at'/],
    [{ at: ['a'], stages: 3 }, /'stages' beside 'at'/],
    [{ mode: 'paper', stages: 3 }, /'stages' beside 'mode: paper'/],
    [{ mode: 'paper', by: 'macs' }, /'by' beside/],
    [{ by: 'macs' }, /'by' beside 'mode: narrowest'/],
    [{ mode: 'balanced', minShare: 0.2 }, /'minShare' beside/],
    [{ encoding: [['int8'], 'fp16'] }, /2 cuts, and there are 1/],
    [{ at: ['a', 'b'], encoding: [['int8']] }, /1 cuts, and there are 2/],
    [{ encoding: ['deflate', 'int8'] }, /makes no sense/],
  ];
  for (const [options, message] of cases) assert.throws(() => check(options), { kind: 'invalid', message });
  for (const good of [{}, { stages: 3, minShare: 0 }, { at: ['a', 'b'], encoding: [['int8', 'deflate'], 'fp16'] }]) {
    assert.doesNotThrow(() => check(good), JSON.stringify(good));
  }
});

test('the parts of the data are read that the options need', () => {
  const reads = (options: object) => operator('partition').reads?.({ ...options });
  assert.deepEqual(reads({ at: ['a'] }), []);
  assert.deepEqual(reads({ mode: 'paper' }), []);
  assert.deepEqual(reads({}), ['evaluation']);
  assert.deepEqual(reads({ mode: 'balanced', by: 'time' }), ['evaluation']);
  assert.deepEqual(reads({ at: ['a'], encoding: 'int8' }), []);
  assert.deepEqual(reads({ at: ['a', 'b'], encoding: ['fp16', [{ int8: { range: 'calibrated' } }]] }), ['calibration']);
});

test('a tensor that is not there is refused', async (t) => {
  const work = await workloadOf(t, widths(SIZES));
  await assert.rejects(partitioned(work, { at: ['layer9'] }), { kind: 'invalid', message: /layer9/ });
});
