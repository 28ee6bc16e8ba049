import assert from 'node:assert/strict';
import { test } from 'node:test';
import { initializerBytes } from '../../../onnx/initializer.js';
import type { Model } from '../../../onnx/model.js';
import { readModel } from '../../../onnx/read.js';
import { PRESETS } from '../../../operators/prune/presets.js';
import { prune } from '../../../operators/prune.js';
import { buildVariants } from '../../../operators/recipe.js';
import type { Facts } from '../../../operators/variant.js';
import { bert, texts } from '../distill/support.js';
import { pruned, residualModel, stripeWorkload } from './support.js';

const TRAIN = { epochs: 2, batch: 16, optimizer: { kind: 'adam', rate: 0.01 } };
const weight = (model: Model, name: string): Uint8Array => {
  const found = model.graph.initializers.find((each) => each.name === name);
  assert.ok(found, name);
  return Uint8Array.from(initializerBytes(found));
};

for (const kind of ['structured', 'unstructured']) {
  test(`${kind}: the model as it was teaches what is left, without labels where they have no share`, async (t) => {
    const work = await stripeWorkload(t, residualModel());
    const unlabelled = { ...work, training: work.training.map((item) => ({ ...item, label: '' })) };
    const given = { kind, sparsity: 0.5, train: TRAIN };
    await assert.rejects(pruned(unlabelled, given), { message: /has no label/ });
    const { facts, model } = await pruned(unlabelled, { ...given, distill: { alpha: 1, temperature: 2 } });
    const { distill } = facts as unknown as { distill: Facts & { teacher: Facts } };
    assert.deepEqual([distill.alpha, distill.temperature], [1, 2]);
    assert.deepEqual([distill.teacher.items, distill.teacher.where], [128, 'memory']);
    assert.ok(Math.abs(facts.reached - 0.5) < 0.02, `${facts.reached}`);
    const alone = await pruned(work, given);
    assert.equal(Object.hasOwn(alone.facts, 'distill'), false);
    assert.notDeepEqual(weight(model, 'head.weight'), weight(alone.model, 'head.weight'));
    const [again, mixed] = [{ alpha: 1, temperature: 2 }, true];
    assert.deepEqual(
      weight((await pruned({ ...work, cache: `${work.cache}-2` }, { ...given, distill: again })).model, 'head.weight'),
      weight(model, 'head.weight'),
      'the same options give the same model',
    );
    const both = (await pruned(work, { ...given, distill: mixed })).facts as unknown as { distill: Facts };
    assert.deepEqual([both.distill.alpha, both.distill.temperature], [0.9, 4]);
  });
}

test('the teacher is the model that prune is given, as earlier steps made it', async (t) => {
  const work = await stripeWorkload(t, residualModel());
  const plain = { ...TRAIN, optimizer: { kind: 'sgd' } };
  const recipe = [
    { operator: 'train', options: TRAIN },
    {
      operator: 'prune',
      options: { sparsity: 0.5, distill: { alpha: 1 }, train: plain, schedule: { start: 0.6, end: 0.9 } },
    },
  ];
  const [variant] = await buildVariants(work, 'x', recipe, { cache: work.cache, threads: 1 });
  const facts = variant?.steps[1]?.facts as unknown as { training: { curve: { loss: number }[] } };
  const [first, second] = facts.training.curve.map(({ loss }) => loss);
  // Before anything has gone it says what its teacher says.
  assert.ok((first ?? 1) < 1e-6, `${first}`);
  assert.ok((second ?? 0) > 1e-3, `${second}`);
});

test('removed at once, what is left is compared behind projections that it does not keep', async (t) => {
  const work = await stripeWorkload(t, residualModel());
  const tensor = work.items.length > 0 ? (await readModel(work.modelPath)).graph.nodes[1]?.outputs[0] : undefined;
  const given = { sparsity: 0.5, schedule: { shape: 'once' }, train: TRAIN };
  const { model, facts } = await pruned(work, { ...given, distill: { hidden: { at: [tensor] } } });
  assert.deepEqual(model.graph.initializers.find(({ name }) => name === 'stem.weight')?.dims, [8, 1, 3, 3]);
  assert.ok(!model.graph.initializers.some(({ name }) => name.startsWith('distill')));
  const { distill } = facts as unknown as { distill: { hidden: { pairs: unknown[] } } };
  assert.deepEqual(distill.hidden.pairs, [{ student: tensor, teacher: tensor }]);
});

test('the last hidden state alone teaches what makes it, and nothing behind it', async (t) => {
  const work = await texts(t, bert(2, 8, 2), { training: 16, tuning: 8, evaluation: 6 });
  const { distill } = PRESETS['study-text'];
  const { model, facts } = await pruned(work, {
    ...{ kind: 'unstructured', sparsity: 0.5, exclude: ['*pooler*', 'classifier.*'], distill },
    train: { epochs: 1, batch: 8 },
  });
  const before = await readModel(work.modelPath);
  assert.deepEqual(weight(model, 'classifier.weight'), weight(before, 'classifier.weight'));
  const inner = 'bert.encoder.layer.1.output.dense.bias';
  assert.notDeepEqual(weight(model, inner), weight(before, inner));
  const said = (facts as unknown as { distill: { hidden: unknown; teacher: Facts } }).distill;
  const last = 'encoder.layer.1';
  assert.deepEqual(said.hidden, { weight: 2, pairs: [{ student: last, teacher: last }] });
  assert.equal(said.teacher.items, 16);
  const snip = { kind: 'unstructured', sparsity: 0.5, score: 'snip-momentum', distill };
  await assert.rejects(pruned(work, { ...snip, train: { epochs: 1, batch: 8 } }), {
    ...{ kind: 'invalid', message: /the loss does not depend on \S*(pooler|classifier)/, fix: /exclude/ },
  });
});

test('the presets of the study run from end to end', async (t) => {
  type Trained = { readonly distill: Facts; readonly training: { readonly settings: { readonly optimizer: Facts } } };
  const text = await texts(t, bert(2, 16, 2), { training: 16, tuning: 8, evaluation: 6 });
  const images = await stripeWorkload(t, residualModel());
  for (const [work, preset, sparsity] of [
    [text, 'study-text', 0.9],
    [images, 'study-image', 0.75],
  ] as const) {
    const { optimizer } = PRESETS[preset].train;
    const { facts } = await pruned(work, { preset, train: { epochs: 2, batch: 8 } });
    const { distill, training } = facts as unknown as Trained;
    assert.ok(Math.abs(facts.reached - sparsity) < 0.02, `${preset}: ${facts.reached}`);
    assert.deepEqual({ ...training.settings.optimizer, ...optimizer }, training.settings.optimizer);
    assert.equal(distill.alpha, PRESETS[preset].distill.alpha);
  }
});

test('the presets of the study teach, and say so in their options', () => {
  for (const preset of ['study-image', 'study-text'] as const) {
    const resolve = (path: string): string => path;
    assert.deepEqual(prune.resolved?.({ preset }, resolve), { preset, distill: PRESETS[preset].distill });
    for (const options of [{ preset, distill: false }, { preset, distill: { alpha: 0.9 } }, { sparsity: 0.5 }]) {
      assert.equal(prune.resolved?.(options, resolve), options);
      prune.check?.(options, []);
    }
  }
});

test('lessons that make no sense are refused', async (t) => {
  const refused = (options: object, message: RegExp) =>
    assert.throws(() => prune.check?.({ sparsity: 0.5, ...options }, []), { kind: 'invalid', message, fix: /./ });
  refused({ train: false, distill: true }, /`distill` is for training/);
  refused({ distill: { alpha: 0 } }, /nothing else is learned from the teacher/);
  refused({ distill: { alpha: 1 }, train: { labelSmoothing: 0.1 } }, /labelSmoothing is for the labels/);
  refused({ distill: { labels: false }, train: { labelSmoothing: 0.1 } }, /with `labels: false`/);
  const moved = { train: { augment: [{ kind: 'flip' }] }, distill: { hidden: { at: 'layers' } } };
  refused(moved, /'flip' moves what the student sees/);
  const work = await stripeWorkload(t, residualModel(), { training: [] });
  await assert.rejects(pruned(work, { sparsity: 0.5, distill: true }), {
    ...{ kind: 'invalid', message: /prune.distill teaches while it trains/, fix: /training part/ },
  });
});
