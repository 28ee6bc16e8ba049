import assert from 'node:assert/strict';
import { test } from 'node:test';
import { initializerBytes } from '../../../onnx/initializer.js';
import { readModel } from '../../../onnx/read.js';
import { checkStep } from '../../../operators/check-recipe.js';
import { evaluate } from '../../../operators/evaluate.js';
import type { Facts, Variant } from '../../../operators/variant.js';
import { exited, floatModel, inputsOf, numbers, outputsOf, qdqModel, workloadOf } from './support.js';

const quick = { epochs: 3, batch: 10, optimizer: { kind: 'adamw', rate: 0.01 } };

async function weightsOf({ stages }: Variant): Promise<ReadonlyMap<string, Uint8Array>> {
  const models = await Promise.all(stages.map(({ files }) => readModel(files[0]?.path as string)));
  return new Map(
    models.flatMap(({ graph }) =>
      graph.initializers.map((each) => [each.name, Uint8Array.from(initializerBytes(each))]),
    ),
  );
}

test('trained heads leave the model as it is, and are as right as fitted ones or more', async (t) => {
  const work = await workloadOf(t, floatModel());
  const fitted = await exited(work, { at: 'b' });
  const { variant, facts } = await exited(work, { at: 'b', head: 'train', train: quick });
  assert.equal(variant.stages.length, 2);
  const [before, after] = [await weightsOf(fitted.variant), await weightsOf(variant)];
  for (const name of ['a.weight', 'b.weight', 'c.weight', 'head']) assert.deepEqual(after.get(name), before.get(name));
  assert.notDeepEqual(after.get('tierbed.exit0.weight'), before.get('tierbed.exit0.weight'));
  const [own, its] = [facts, fitted.facts].map(({ exits }) => exits[0] as unknown as Facts);
  assert.ok(Number(own?.tuningAccuracy) >= Number(its?.tuningAccuracy) - 0.05, `${own?.tuningAccuracy}`);
  assert.equal(own?.lambda, undefined);
  const { trains, training, items } = facts as unknown as Facts & { items: Facts; training: { b: Facts } };
  assert.deepEqual([trains, items], ['heads', { training: 60, tuning: 60 }]);
  // A weight and a bias, and nothing of the front that they are behind.
  assert.equal((training.b.trained as Facts).weights, 2);
  assert.equal((await evaluate(work, variant.stages, 'evaluation', { threads: 1 })).n, 60);
});

test('two exits have a training each, with a layer before the last where that is wanted', async (t) => {
  const work = await workloadOf(t, floatModel());
  const { variant, facts } = await exited(work, { at: ['a', 'b'], head: 'train', hidden: 8, train: quick });
  assert.equal(variant.stages.length, 3);
  assert.deepEqual(
    facts.exits.map((exit) => (exit as unknown as Facts).hidden),
    [8, 8],
  );
  const weights = await weightsOf(variant);
  assert.equal(weights.get('tierbed.exit1.hidden.bias')?.byteLength, 4 * 8);
});

test('all of the model is trained with its exits when that is wanted', async (t) => {
  const work = await workloadOf(t, floatModel());
  const { variant, facts } = await exited(work, { at: 'b', head: 'train', trains: 'all', train: quick });
  const [before, after] = [await weightsOf((await exited(work, { at: 'b' })).variant), await weightsOf(variant)];
  for (const name of ['a.weight', 'c.weight', 'head']) assert.notDeepEqual(after.get(name), before.get(name));
  // What the exits are compared with is the model as it is now.
  let right = 0;
  for (const { label, inputs } of await inputsOf(work, 'tuning')) {
    const [first, second] = variant.stages.map(({ files }) => files[0]?.path as string) as [string, string];
    const crossing = await outputsOf(first, inputs);
    const b = crossing.get('b');
    assert.ok(b);
    const scores = numbers((await outputsOf(second, [{ name: 'b', tensor: b }])).get('logits'));
    right += Number(String(scores.indexOf(Math.max(...scores))) === label);
  }
  assert.equal(facts.tuning.fullAccuracy, right / 60);
});

test('a model that is cut short is trained as a whole, or its head alone', async (t) => {
  const work = await workloadOf(t, floatModel());
  for (const trains of ['heads', 'all']) {
    const { variant } = await exited(work, { at: 'b', kind: 'static', head: 'train', trains, train: quick });
    assert.equal(variant.stages.length, 1);
    const a = (await weightsOf(variant)).get('a.weight');
    const own = (await readModel(work.modelPath)).graph.initializers.find(({ name }) => name === 'a.weight');
    assert.equal(Buffer.compare(a as Uint8Array, initializerBytes(own as never)) === 0, trains === 'heads');
    assert.equal((await evaluate(work, variant.stages, 'evaluation', { threads: 1 })).n, 60);
  }
});

test('a quantised model has its heads trained, and not itself', async (t) => {
  const work = await workloadOf(t, qdqModel());
  const { variant } = await exited(work, { at: 'b', head: 'train', train: quick });
  assert.equal(variant.stages.length, 2);
  const all = { at: 'b', head: 'train', trains: 'all', train: quick };
  await assert.rejects(exited(work, all), { kind: 'invalid', message: /is quantised/, fix: /trains: heads/ });
  const quantised = { operator: 'sptq', options: {} };
  assert.throws(() => checkStep([quantised, { operator: 'early-exit', options: all }], 1), {
    message: /stored them as int8/,
    fix: /trains: heads/,
  });
});

test('settings of training are for heads that are trained', () => {
  const check = (options: object) =>
    checkStep([{ operator: 'early-exit', options: { at: 'b', ...options } }], 0, ['w']);
  assert.throws(() => check({ train: { epochs: 1 } }), {
    kind: 'invalid',
    message: /`train` is for/,
    fix: /head: train/,
  });
  assert.throws(() => check({ hidden: 4, head: 'fit' }), { kind: 'invalid', message: /`hidden` is for/ });
  check({ head: 'train', hidden: 4, train: { epochs: 1 } });
});
