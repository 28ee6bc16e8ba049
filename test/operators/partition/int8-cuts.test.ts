import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { GraphBuilder } from '../../../onnx/build.js';
import { DATA_TYPE } from '../../../onnx/model.js';
import { readModel } from '../../../onnx/read.js';
import { openModel } from '../../../onnx/runtime/session.js';
import type { StageModel } from '../../../operators/variant.js';
import { needsSharedData, sharedModels } from '../../support/shared-data.js';
import { INPUT_SHAPE, qdqModel, qoperatorModel, residualModel } from './quantised-models.js';
import { graphOf, noise, partitioned, runStages, workloadOf } from './support.js';

const X = [noise('x', INPUT_SHAPE)];

/** Types of the nodes that the runtime's optimisation leaves of a model. */
async function kernelsOf(t: TestContext, stage: StageModel | undefined): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-optimised-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const optimizedPath = join(folder, 'model.onnx');
  await (await openModel(stage?.files[0]?.path as string, { threads: 1, optimizedPath })).close();
  return (await readModel(optimizedPath)).graph.nodes.map(({ opType }) => opType);
}

const dtypeOf = (value: { type: { kind: string; elemType?: number } } | undefined) => value?.type.elemType;

test('a cut of a QDQ model moves to the quantised tensor: a quarter crosses, and the stages give the same bytes', async (t) => {
  const work = await workloadOf(t, qdqModel());
  const whole = await runStages([work.modelPath], X);
  for (const at of ['block1', 'block1_dequantized', 'block1_quantized']) {
    const { variant, facts } = await partitioned(work, { at: [at] });
    assert.deepEqual(facts.cuts[0]?.tensors, ['block1_quantized'], at);
    assert.equal(facts.cuts[0]?.bytes, 8 * 8 * 8);
    assert.deepEqual(facts.cuts[0]?.quantised, at === 'block1_quantized' ? undefined : { [at]: 'block1_quantized' });
    const [first, second] = [await graphOf(variant.stages[0]), await graphOf(variant.stages[1])];
    assert.equal(dtypeOf(first.outputs[0]), DATA_TYPE.uint8);
    assert.equal(first.nodes.at(-1)?.opType, 'QuantizeLinear');
    const begin = second.nodes.filter(({ inputs }) => inputs.includes('block1_quantized'));
    assert.deepEqual(
      begin.map(({ opType }) => opType),
      ['DequantizeLinear'],
    );
    assert.deepEqual(await runStages(variant.stages, X), whole);
  }
});

test('the stages of a QDQ model still run in int8 kernels', async (t) => {
  const work = await workloadOf(t, qdqModel());
  const { variant } = await partitioned(work, { at: ['block1'] });
  const [first, second] = [await kernelsOf(t, variant.stages[0]), await kernelsOf(t, variant.stages[1])];
  assert.deepEqual(
    first.filter((type) => /Conv/.test(type)),
    ['QLinearConv', 'QLinearConv'],
  );
  assert.deepEqual(
    second.filter((type) => /Conv/.test(type)),
    ['QLinearConv'],
  );
});

test('a cut stays at floats where it is told to', async (t) => {
  const work = await workloadOf(t, qdqModel());
  const { variant, facts } = await partitioned(work, { at: ['block1'], int8Cuts: false });
  assert.deepEqual(facts.cuts[0]?.tensors, ['block1']);
  assert.equal(facts.cuts[0].bytes, 4 * 8 * 8 * 8);
  assert.deepEqual(await runStages(variant.stages, X), await runStages([work.modelPath], X));
});

test('a name that a model of quantised operators has no more is found in its quantised form', async (t) => {
  const work = await workloadOf(t, qoperatorModel());
  const whole = await runStages([work.modelPath], X);
  for (const [at, to] of [
    ['block0', 'block0_quantized'],
    ['block2', 'block2_quantized'],
  ] as const) {
    const { variant, facts } = await partitioned(work, { at: [at] });
    assert.deepEqual(facts.cuts[0]?.tensors, [to]);
    assert.deepEqual(facts.cuts[0]?.quantised, { [at]: to });
    assert.deepEqual(await runStages(variant.stages, X), whole);
  }
  await assert.rejects(partitioned(work, { at: ['block9'] }), { kind: 'invalid', message: /block9/ });
});

test('a cut through a residual block crosses in int8 on both of its ways', async (t) => {
  const work = await workloadOf(t, residualModel());
  const whole = await runStages([work.modelPath], X);
  for (const at of [
    ['stem', 'first'],
    ['stem_quantized', 'first_quantized'],
  ]) {
    const { variant, facts } = await partitioned(work, { at: [at] });
    assert.deepEqual(facts.cuts[0]?.tensors, ['stem_quantized', 'first_quantized']);
    assert.equal(facts.cuts[0].bytes, 2 * 8 * 8 * 8);
    assert.deepEqual(await runStages(variant.stages, X), whole);
    for (const stage of variant.stages) assert.ok((await kernelsOf(t, stage)).includes('QLinearConv'));
  }
  // The tensor that both ways use, by its float name.
  const { variant, facts } = await partitioned(work, { at: ['stem_dequantized'] });
  assert.deepEqual(facts.cuts[0]?.tensors, ['stem_quantized']);
  assert.deepEqual(await runStages(variant.stages, X), whole);
});

test('the narrowest cut of a quantised model is one of its int8 tensors', async (t) => {
  const { facts } = await partitioned(await workloadOf(t, qdqModel()), {});
  assert.match(facts.cuts[0]?.tensors.join() ?? '', /_quantized$/);
  assert.equal(facts.cuts[0]?.bytes, 8 * 8 * 8);
});

test('a tensor that floats use too stays as it is', async (t) => {
  // `a` goes to a QuantizeLinear and to an Add: the quantised tensor alone would not do.
  const g = new GraphBuilder({ name: 'shared' });
  const scale = g.float32(0.02);
  const zero = g.initializer('zero', { dtype: 'uint8', shape: [], data: Uint8Array.of(9) });
  const a = g.node('Relu', [g.input('x', 'float32', [1, 4])], {}, 'a');
  const pair = g.node('DequantizeLinear', [g.node('QuantizeLinear', [a, scale, zero], {}, 'q'), scale, zero], {}, 'd');
  g.output(g.node('Add', [a, pair], {}, 'out'), 'float32', [1, 4]);
  const work = await workloadOf(t, g.build());
  const { facts } = await partitioned(work, { at: ['a'] });
  assert.deepEqual(facts.cuts[0]?.tensors, ['a']);
  assert.equal(facts.cuts[0].quantised, undefined);
  // Both forms of it cross: the float one is needed, and the DequantizeLinear's place is behind.
  const both = await partitioned(work, { at: [['a', 'd']] });
  assert.deepEqual(both.facts.cuts[0]?.tensors, ['a', 'q']);
});

test('the shared quantised MobileNetV2 is cut where it is int8, and gives the same bytes', async (t) => {
  const dir = needsSharedData(t);
  if (!dir) return;
  const model = sharedModels(dir).find(({ name }) => /qdq/.test(name)) as ReturnType<typeof sharedModels>[number];
  const input = model.inputs[0] as (typeof model.inputs)[number];
  const item = [
    noise(
      input.name,
      input.shape.map((dim) => (typeof dim === 'number' ? dim : 1)),
    ),
  ];
  const work = await workloadOf(t, model.path, { evaluation: [item] });
  const whole = await runStages([work.modelPath], item);
  for (const options of [{}, { stages: 3 }, { mode: 'balanced' }]) {
    const { variant, facts } = await partitioned(work, options);
    for (const { tensors, bytes } of facts.cuts) {
      const graph = await graphOf(variant.stages[0]);
      assert.ok(bytes !== null && bytes < 100_000, `${tensors} ${bytes}`);
      if (facts.cuts.length === 1) assert.notEqual(dtypeOf(graph.outputs[0]), DATA_TYPE.float32);
    }
    assert.deepEqual(await runStages(variant.stages, item), whole);
    for (const stage of variant.stages) assert.ok((await kernelsOf(t, stage)).includes('QLinearConv'));
  }
});
