import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { TierbedError } from '../../../base/errors.js';
import { GraphBuilder } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';
import { denseTensor } from '../../../onnx/tensor.js';
import { checkRecipe } from '../../../operators/check-recipe.js';
import { evaluate } from '../../../operators/evaluate.js';
import { identity } from '../../../operators/identity.js';
import { prune } from '../../../operators/prune.js';
import { buildVariants } from '../../../operators/recipe.js';
import { bert, texts } from '../distill/support.js';
import { pruned, residualModel, stripeWorkload } from './support.js';

const TRAIN = { epochs: 12, batch: 16, optimizer: { kind: 'adam', rate: 0.01 } };
const dimsOf = (model: Model, name: string) => model.graph.initializers.find((each) => each.name === name)?.dims;

test('structured at once: half of the channels are gone from the file, and the facts say what it was worth', async (t) => {
  const work = await stripeWorkload(t, residualModel());
  const { model, facts, variant } = await pruned(work, { sparsity: 0.5, train: false });
  assert.deepEqual(dimsOf(model, 'stem.weight'), [8, 1, 3, 3]);
  assert.deepEqual(dimsOf(model, 'inner.weight'), [16, 8, 3, 3]);
  assert.deepEqual(dimsOf(model, 'outer.weight'), [8, 16, 3, 3]);
  assert.deepEqual(dimsOf(model, 'head.weight'), [2, 8]);
  assert.deepEqual(
    facts.groups?.map(({ name, kind, before, after }) => [name, kind, before, after]),
    [
      ['stem', 'channels', 16, 8],
      ['inner', 'channels', 32, 16],
    ],
  );
  assert.equal(facts.reached, 0.5);
  assert.ok(facts.parameters.after < 0.3 * facts.parameters.before);
  assert.ok(facts.bytes.after < 0.5 * facts.bytes.before);
  assert.ok(facts.macs.after < 0.3 * facts.macs.before);
  assert.ok(facts.speed.speedUp > 0 && facts.speed.runs >= 5);
  assert.match(facts.says, /times as fast|not faster here/);
  assert.match(String(facts.training), /none: pruned at once/);
  const output = facts.stays?.find(({ reason }) => reason.includes('output'));
  assert.equal(output?.units, 2);
  assert.equal(model.metadataProps.find(({ key }) => key === 'tierbed.recipe')?.value, 'prune');
  assert.equal(variant.stages.length, 1);
});

test('unstructured at once: zeros in a model of the same shapes, which is called not faster', async (t) => {
  const work = await stripeWorkload(t, residualModel());
  const options = { kind: 'unstructured', pattern: '2x1', sparsity: 0.75, exclude: ['head*'], train: false };
  const { model, facts } = await pruned(work, options);
  assert.deepEqual(dimsOf(model, 'stem.weight'), [16, 1, 3, 3]);
  assert.ok(Math.abs(facts.reached - 0.75) < 0.01, `${facts.reached}`);
  assert.deepEqual(Object.keys(facts.layers ?? {}), ['stem.weight', 'inner.weight', 'outer.weight']);
  assert.equal(facts.parameters.after, facts.parameters.before);
  assert.equal(facts.macs.after, facts.macs.before);
  assert.match(facts.says, /^not faster: 7\d\.\d % of the weights .* dense kernels multiply zeros/);
});

test('pruned while it is trained, the file is smaller and knows more than what is pruned at once', async (t) => {
  const work = await stripeWorkload(t, residualModel());
  const { model, facts, variant } = await pruned(work, { sparsity: 0.5, train: TRAIN });
  assert.deepEqual(dimsOf(model, 'inner.weight'), [16, 8, 3, 3]);
  assert.ok(typeof facts.training === 'object' && facts.training.curve.length === 12);
  const { value: accuracy } = await evaluate(work, variant.stages, 'evaluation');
  assert.ok((accuracy as number) > 0.9, `${accuracy}`);
  // What training saw last, with zeros, is what the smaller model gives.
  const last = typeof facts.training === 'object' ? facts.training.curve.at(-1)?.tuning : undefined;
  const tuning = await evaluate(work, variant.stages, 'tuning');
  assert.equal(tuning.value, last);
});

for (const [score, pattern] of [
  ['snip-momentum', '4x1'],
  ['magnitude', '2:4'],
] as const) {
  test(`${score} by ${pattern} while it is trained: the zeros are there at the end, and it still knows`, async (t) => {
    const work = await stripeWorkload(t, residualModel());
    const sparsity = pattern === '2:4' ? undefined : 0.5;
    const { facts, variant } = await pruned(work, {
      ...{ kind: 'unstructured', score, pattern, train: TRAIN, exclude: ['head*', 'stem*'] },
      ...(sparsity !== undefined && { sparsity }),
    });
    assert.ok(Math.abs(facts.reached - 0.5) < 0.02, `${facts.reached}`);
    const { value } = await evaluate(work, variant.stages, 'evaluation');
    assert.ok((value as number) > 0.9, `${value}`);
  });
}

test('all at once, then trained: the smaller model is what is trained; the same options make the same file', async (t) => {
  const options = { sparsity: 0.5, schedule: { shape: 'once' }, train: { ...TRAIN, epochs: 2 } };
  const files = [];
  for (let i = 0; i < 2; i++) {
    const { variant } = await pruned(await stripeWorkload(t, residualModel()), options);
    files.push(await readFile(variant.stages[0]?.files[0]?.path as string));
  }
  assert.ok(files[0]?.equals(files[1] as Buffer));
});

test('with patience, no epoch before pruning has come to its end counts as best', async (t) => {
  const work = await stripeWorkload(t, residualModel());
  const { facts } = await pruned(work, {
    ...{ kind: 'unstructured', sparsity: 0.6, exclude: ['head*'], train: { ...TRAIN, epochs: 6, patience: 1 } },
  });
  assert.ok(Math.abs(facts.reached - 0.6) < 0.01, `${facts.reached}`);
});

test('without being told, it trains where there is data for it', async (t) => {
  const work = await stripeWorkload(t, residualModel(), { training: [] });
  const { facts } = await pruned(work, { sparsity: 0.5 });
  assert.match(String(facts.training), /none/);
  assert.deepEqual(prune.reads?.({ sparsity: 0.5 }), ['training', 'tuning']);
  assert.deepEqual(prune.reads?.({ sparsity: 0.5, train: false }), []);
});

const bad = (options: object) => async (t: Parameters<typeof stripeWorkload>[0]) =>
  pruned(await stripeWorkload(t, residualModel()), { train: false, ...options });

test('a sparsity of 0 or of 1 is refused, before anything is built too', async (t) => {
  await assert.rejects(bad({ sparsity: 0 })(t), { kind: 'invalid', message: /sparsity of 0 removes nothing/ });
  await assert.rejects(bad({ sparsity: 1 })(t), { kind: 'invalid', message: /sparsity of 1 leaves nothing/ });
  await assert.rejects(bad({})(t), { kind: 'invalid', message: /no sparsity/ });
  assert.throws(() => prune.check?.({ sparsity: 0 }, []), { message: /removes nothing/ });
});

test('pruning that would leave no channel, or fewer than must stay, is refused with the group', async (t) => {
  const { model, facts } = await bad({ sparsity: 0.999 })(t);
  assert.deepEqual(dimsOf(model, 'stem.weight'), [1, 1, 3, 3], 'one is left');
  assert.ok(facts.reached < 1);
  await assert.rejects(bad({ sparsity: 0.9, atLeast: 4 })(t), {
    kind: 'invalid',
    message:
      /leaves 2 of 16 channels of stem, and 4 must stay; and so of 1 more|leaves 2 of 16 channels of stem, and 4 must stay/,
  });
  await assert.rejects(bad({ sparsity: 0.95, atLeast: 4, scope: 'global' })(t), { message: /no more than 40 can/ });
  await assert.rejects(bad({ sparsity: 0.01 })(t), { message: /removes no unit/ });
});

test('options of the other kind, scores without gradients and patterns against the sparsity are refused', async (t) => {
  await assert.rejects(bad({ sparsity: 0.5, pattern: '2x1' })(t), { message: /`pattern` is for `kind: unstructured`/ });
  await assert.rejects(bad({ sparsity: 0.5, score: 'magnitude' })(t), { message: /not for `kind: structured`/ });
  await assert.rejects(bad({ sparsity: 0.5, score: 'taylor' })(t), { message: /comes from gradients/ });
  await assert.rejects(bad({ sparsity: 0.5, score: 'bn-scale' })(t), { message: /no scale of a BatchNormalization/ });
  await assert.rejects(bad({ kind: 'unstructured', pattern: '2:4', sparsity: 0.7 })(t), {
    message: /takes 0.5 of the weights/,
  });
  await assert.rejects(bad({ kind: 'unstructured', sparsity: 0.99 })(t), { message: /more than the 0.98/ });
  await assert.rejects(bad({ sparsity: 0.5, exclude: ['nothing*'] })(t), {
    message: /no weight is called 'nothing\*'/,
  });
  await assert.rejects(bad({ sparsity: 0.5, exclude: ['*'] })(t), { message: /that can be removed/ });
  await assert.rejects(bad({ sparsity: 0.5, train: undefined, schedule: { start: 0.5, end: 0.2 } })(t), {
    message: /ends at 0.2/,
  });
  const work = await stripeWorkload(t, residualModel(), { training: [] });
  await assert.rejects(pruned(work, { sparsity: 0.5, train: {} }), { message: /has no training part/ });
});

test('options that would have no effect beside the others are refused', async (t) => {
  const refused = (options: object, message: RegExp) =>
    assert.throws(
      () => prune.check?.({ sparsity: 0.5, ...options }, []),
      (error) => {
        assert.ok(error instanceof TierbedError && error.fix !== undefined);
        assert.match(error.message, message);
        return true;
      },
    );
  refused({ train: false, schedule: { shape: 'linear' } }, /`schedule` is for training/);
  refused({ train: false, batchNorm: 'frozen' }, /`batchNorm` is for training/);
  refused({ schedule: { shape: 'once', end: 0.5 } }, /`schedule.end` has no use/);
  refused({ schedule: { shape: 'once', start: 0.5 } }, /`schedule.start` has no use.*before training/);
  refused({ kind: 'unstructured', schedule: { shape: 'once', every: 2 } }, /`schedule.every` has no use/);
  prune.check?.({ sparsity: 0.5, kind: 'unstructured', schedule: { shape: 'once', start: 0.5 } }, []);
  prune.check?.({ sparsity: 0.5, score: 'taylor', schedule: { shape: 'once', start: 0.5 } }, []);
  const runs = { kind: 'unstructured', sparsity: undefined, pattern: '2:4' };
  refused({ ...runs, mostOfLayer: 0.9 }, /`mostOfLayer` has no use: the pattern 2:4/);
  refused({ ...runs, scope: 'global' }, /`scope: global` has no use/);
  prune.check?.({ preset: 'study-image', pattern: '2:4' }, []);
  const work = await stripeWorkload(t, residualModel());
  const freeze = { ...TRAIN, freeze: ['stem.*'] };
  for (const kind of ['structured', 'unstructured']) {
    const given = { kind, sparsity: 0.5, train: freeze };
    await assert.rejects(pruned(work, given), {
      message: /leaves stem\.(weight|bias) as it is .* is to be pruned/,
      fix: /exclude/,
    });
    await pruned(work, { ...given, exclude: ['stem.*'], train: { ...freeze, epochs: 1 } });
  }
});

test('features go before training, and no schedule has a say in that', async (t) => {
  const work = await texts(t, bert(1, 8, 2), { training: 16, tuning: 8, evaluation: 6 });
  const given = { sparsity: 0.25, units: ['features'], train: { epochs: 1, batch: 8 } };
  await assert.rejects(pruned(work, { ...given, schedule: { shape: 'linear' } }), {
    ...{ kind: 'invalid', message: /features of .* go before training/, fix: /Leave `schedule` out/ },
  });
  const { facts } = await pruned(work, { ...given, schedule: { shape: 'once' } });
  assert.ok(facts.parameters.after < facts.parameters.before);
});

test('a quantised model is refused, as a file and as a recipe', async (t) => {
  const g = new GraphBuilder({ name: 'quantised', opset: 18 });
  const scale = g.float32(0.02);
  const zero = g.initializer('zero', denseTensor('uint8', [], Uint8Array.of(128)));
  const x = g.input('x', 'float32', ['N', 4]);
  const quantised = g.node('QuantizeLinear', [x, scale, zero]);
  g.output(g.node('DequantizeLinear', [quantised, scale, zero], {}, 'scores'), 'float32');
  const work = await stripeWorkload(t, g.build());
  await assert.rejects(pruned(work, { sparsity: 0.5 }), { kind: 'invalid', message: /is quantised already/ });
  for (const operator of ['sptq', 'dynamic', 'fp16']) {
    const recipe = [
      { operator, options: {} },
      { operator: 'prune', options: { sparsity: 0.5 } },
    ];
    assert.throws(() => checkRecipe(recipe), {
      ...{
        kind: 'invalid',
        message: /needs float32 weights/,
        fix: `Put prune before ${operator}: \`prune+${operator}\`.`,
      },
    });
  }
  assert.equal(prune.after?.([{ operator: identity.name, options: {} }], { sparsity: 0.5 }), undefined);
});

test('a pruned model is quantised and cut as any other', async (t) => {
  const work = await stripeWorkload(t, residualModel());
  const half = { operator: 'prune', options: { sparsity: 0.5, train: false } };
  const sptq = [half, { operator: 'sptq', options: { items: 8 } }];
  const [small] = await buildVariants(work, 'x', sptq, { cache: work.cache, threads: 1 });
  assert.deepEqual(
    small?.steps.map(({ operator }) => operator),
    ['prune', 'sptq'],
  );
  const cut = [half, { operator: 'partition', options: { at: ['Relu_0'] } }];
  const [two] = await buildVariants(work, 'y', cut, { cache: work.cache, threads: 1 });
  assert.equal(two?.stages.length, 2);
  assert.equal(two.steps[0]?.cached, true, 'pruned once for both');
});
