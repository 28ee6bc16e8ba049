import assert from 'node:assert/strict';
import { test } from 'node:test';
import { float32Values } from '../../../onnx/tensor.js';
import { Chain } from '../../../operators/chain.js';
import type { StageModel } from '../../../operators/variant.js';
import { noise, partitioned, widths, workloadOf } from './support.js';

const MODEL = widths([16, 32, 8, 4]);
const items = [1, 2, 3].map((seed) => [noise('x', [1, 16], seed)]);

const answer = async (stages: readonly StageModel[]): Promise<Float32Array> => {
  const chain = await Chain.open(stages, 1);
  const { outputs } = await chain.run(items[0] ?? []);
  await chain.close();
  return float32Values(outputs[0]?.tensor as Parameters<typeof float32Values>[0]);
};

test('stages have the encoding of what they pass on, and a chain of them applies it', async (t) => {
  const work = await workloadOf(t, MODEL, { evaluation: items });
  const plain = await partitioned(work, { at: ['layer0'] });
  assert.deepEqual(
    plain.variant.stages.map(({ encoding }) => encoding),
    [undefined, undefined],
  );
  const exact = await answer(plain.variant.stages);
  const errors: number[] = [];
  for (const encoding of ['fp32', 'fp16', ['int8', 'deflate']]) {
    const { variant, facts } = await partitioned(work, { at: ['layer0'], encoding });
    assert.equal(variant.stages[0]?.encoding?.chain[0]?.name, [encoding].flat()[0]);
    assert.equal(variant.stages[1]?.encoding, undefined);
    assert.equal(facts.cuts[0]?.bytes, 128);
    const got = await answer(variant.stages);
    errors.push(Math.max(...got.map((value, i) => Math.abs(value - (exact[i] as number)))));
  }
  const [none, half, eighth] = errors as [number, number, number];
  assert.equal(none, 0);
  assert.ok(half > 0 && half < 1e-2 && eighth > half && eighth < 0.2, errors.join());
});

test('facts say what an item takes on the link', async (t) => {
  const work = await workloadOf(t, MODEL, { evaluation: items });
  const { facts } = await partitioned(work, { at: ['layer0', 'layer1'], encoding: [['int8'], ['fp16']] });
  assert.deepEqual(
    facts.cuts.map(({ bytes, encoding }) => [bytes, encoding]),
    [
      [128, 'int8'],
      [32, 'fp16'],
    ],
  );
  const [first, second] = facts.cuts.map(({ encodedBytes }) => encodedBytes as number);
  // A header of some 30 bytes each.
  assert.ok((first as number) > 32 && (first as number) < 32 + 50, String(first));
  assert.ok((second as number) > 16 && (second as number) < 16 + 50, String(second));
});

test('ranges come from the calibration part, and are those of what crosses', async (t) => {
  const work = await workloadOf(t, MODEL, { evaluation: items, calibration: items.slice(0, 2) });
  const one = await partitioned(work, { at: ['layer0'], encoding: { int8: { range: 'calibrated' } } });
  assert.equal(one.facts.cuts[0]?.calibratedOn, 2);
  const range = one.variant.stages[0]?.encoding?.ranges?.layer0;
  assert.equal(range?.min.length, 1);
  const perChannel = await partitioned(work, { at: ['layer0'], encoding: { int8: { range: 'calibrated', axis: 1 } } });
  const wide = perChannel.variant.stages[0]?.encoding?.ranges?.layer0;
  assert.equal(wide?.min.length, 32);
  assert.equal(Math.min(...wide.min), range.min[0]);
  assert.equal(Math.max(...wide.max), range.max[0]);
  assert.ok(wide.max.some((max) => max < (range.max[0] as number)));

  // What the items give, by hand.
  const chain = await Chain.open(one.variant.stages.slice(0, 1), 1);
  const seen: number[] = [];
  for (const item of items.slice(0, 2)) {
    const { outputs } = await chain.run(item);
    seen.push(...float32Values(outputs[0]?.tensor as Parameters<typeof float32Values>[0]));
  }
  await chain.close();
  assert.deepEqual([range.min[0], range.max[0]], [Math.min(...seen), Math.max(...seen)]);
});

test('other calibration items give another result, not the cached one', async (t) => {
  const encoding = { int8: { range: 'calibrated' } };
  const work = await workloadOf(t, MODEL, { calibration: items.slice(0, 1) });
  const rangeOf = async (workload: typeof work) =>
    (await partitioned(workload, { at: ['layer0'], encoding })).variant.stages[0]?.encoding?.ranges?.layer0;
  const other = { ...work, calibration: (await workloadOf(t, MODEL, { calibration: items.slice(1) })).calibration };
  assert.notDeepEqual(await rangeOf(work), await rangeOf(other));
});

test('ranges cannot be calibrated on nothing', async (t) => {
  const work = await workloadOf(t, MODEL, { evaluation: items });
  const encoding = { int8: { range: 'calibrated' } };
  await assert.rejects(partitioned(work, { at: ['layer0'], encoding }), {
    kind: 'invalid',
    message: /calibration part of w: it is empty/,
    fix: /split/,
  });
  const broken = { ...work, calibration: [{ id: 'b', label: '', read: async () => Uint8Array.of(1, 2, 3) }] };
  await assert.rejects(partitioned(broken, { at: ['layer0'], encoding }), {
    kind: 'invalid',
    message: /none of its 1 items can be read/,
  });
});
