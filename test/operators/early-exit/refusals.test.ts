import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Ajv } from 'ajv';
import { GraphBuilder } from '../../../onnx/build.js';
import { earlyExit } from '../../../operators/early-exit.js';
import { evaluate } from '../../../operators/evaluate.js';
import { buildVariants } from '../../../operators/recipe.js';
import { exited, floatModel, type TestWorkload, type WorkOptions, workloadOf } from './support.js';

const small: WorkOptions = { sizes: { calibration: 12, tuning: 12, evaluation: 2 } };

async function refused(
  t: TestContext,
  options: Readonly<Record<string, unknown>>,
  expected: { readonly message: RegExp; readonly fix?: RegExp },
  {
    change = (work) => work,
    ...workOptions
  }: Omit<WorkOptions, 'change'> & {
    readonly change?: (work: TestWorkload) => TestWorkload;
  } = {},
): Promise<void> {
  const work = change(await workloadOf(t, floatModel(), { ...small, ...workOptions }));
  await assert.rejects(exited(work, options), { kind: 'invalid', ...expected });
}

test('a tensor that does not exist is refused, with others like it', async (t) => {
  await refused(t, { at: 'pool' }, { message: /no tensor 'pool'/, fix: /pooled/ });
  await refused(t, { at: ['a', 'nowhere'] }, { message: /no tensor 'nowhere'/ });
});

test('places that come in the wrong order, or twice, are refused', async (t) => {
  await refused(t, { at: ['b', 'a'] }, { message: /\b[ab]\b/ });
  await refused(t, { at: ['a', 'a'] }, { message: /\ba\b/ });
});

test('a tensor of which no features can be made is refused with its shape', async (t) => {
  const g = new GraphBuilder({ name: 'flat' });
  const x = g.input('x', 'float32', [1, 6, 6, 6]);
  const wide = g.node('Reshape', [x, g.int64([1, 6, 36, 1, 1])], {}, 'wide');
  const means = g.node('ReduceMean', [wide], { axes: [2, 3, 4], keepdims: 0 }, 'six');
  g.output(g.node('Relu', [means], {}, 'logits'), 'float32', [1, 6]);
  const work = await workloadOf(t, g.build(), small);
  await assert.rejects(exited(work, { at: 'wide' }), {
    kind: 'invalid',
    message: /no head can be fitted on wide \[1, 6, 36, 1, 1\]/,
  });
});

test('a workload that is no classification is refused', async (t) => {
  const digest = (work: TestWorkload): TestWorkload => ({ ...work, postprocess: { kind: 'digest' } });
  await refused(
    t,
    { at: 'a' },
    { message: /needs a classification, and w has postprocessing 'digest'/ },
    { change: digest },
  );
});

test('a part that is empty, unreadable, or of one class is refused', async (t) => {
  for (const part of ['calibration', 'tuning'] as const) {
    const empty = (work: TestWorkload): TestWorkload => ({ ...work, [part]: [] });
    await refused(t, { at: 'a' }, { message: new RegExp(`has no ${part} part`), fix: /split/ }, { change: empty });
    const broken = (work: TestWorkload): TestWorkload => ({
      ...work,
      [part]: work[part].map((item) => ({ ...item, read: async () => Uint8Array.of(7) })),
    });
    const expected = { message: new RegExp(`none of the ${part} items`), fix: new RegExp(`${part}/0: `) };
    await refused(t, { at: 'a' }, expected, { change: broken });
  }
  await refused(
    t,
    { at: 'a' },
    { message: /calibration part of w has items of one class alone/ },
    { labelOf: () => '1' },
  );
});

test('labels that are no class are refused, whichever they are', async (t) => {
  for (const label of ['cat', '3', '-1', '0.5', ' ']) {
    await refused(
      t,
      { at: 'a' },
      { message: new RegExp(`the label '${label}' is none of the 3 classes`) },
      {
        labelOf: () => label,
      },
    );
  }
  const named = (work: TestWorkload): TestWorkload => ({
    ...work,
    postprocess: { kind: 'argmax', output: 'logits', classes: ['red', 'green', 'blue'] },
  });
  const words = ['red', 'green', 'pink'];
  await refused(t, { at: 'a' }, { message: /the label 'pink'/ }, { change: named, labelOf: (k) => words[k] as string });
});

test('an item that makes a tensor infinite or no number is named', async (t) => {
  for (const [part, value] of [
    ['calibration', Number.NaN],
    ['tuning', Number.POSITIVE_INFINITY],
  ] as const) {
    const work = await workloadOf(t, floatModel(), {
      ...small,
      change: (values, of, index) => (of === part && index === 4 ? values.fill(value) : values),
    });
    await assert.rejects(exited(work, { at: 'a' }), {
      kind: 'invalid',
      message: new RegExp(`a is not finite on the item ${part}/4`),
    });
  }
});

test('what is cut already has no exits put into it', async (t) => {
  const work = await workloadOf(t, floatModel(), small);
  const recipe = [
    { operator: 'partition', options: { at: ['b'] } },
    { operator: 'early-exit', options: { at: 'a' } },
  ];
  await assert.rejects(buildVariants(work, 'x', recipe, { cache: work.cache }), {
    ...{ kind: 'invalid', message: /early-exit works on a model in one piece/, fix: /before what cuts the model/ },
  });
});

test('options that make no sense are refused before anything is built', () => {
  const check = (options: object, workloads = ['w']) => earlyExit.check?.(options as never, workloads);
  assert.throws(() => check({ at: 'a', head: 'reattach' }), { kind: 'invalid', message: /is for `kind: static`/ });
  assert.throws(() => check({ at: ['a', 'b'], kind: 'static' }), { kind: 'invalid', message: /at one place/ });
  assert.throws(() => check({ at: { w: ['a', 'b'] }, kind: 'static' }), { kind: 'invalid', message: /at one place/ });
  assert.throws(() => check({ at: { v: 'a' } }), { kind: 'invalid', message: /'v'/, fix: /one of: w/ });
  check({ at: [['a', 'b'], 'c'] });
  check({ at: { w: 'a' } });
});

test('the schema takes what is documented and nothing else', () => {
  const valid = new Ajv({ allowUnionTypes: true }).compile(earlyExit.optionsSchema);
  for (const good of [{ at: 'a' }, { at: ['a', ['b', 'c']] }, { at: { w: 'a', v: ['a', 'b'] }, maxDrop: 0 }]) {
    assert.ok(valid(good), JSON.stringify(good));
  }
  const bad = [
    {},
    { at: '' },
    { at: [] },
    { at: ['a', 'b', 'c'] },
    { at: [[]] },
    { at: {} },
    { at: 'a', maxDrop: -1 },
    { at: 'a', maxDrop: 101 },
    { at: 'a', items: 0 },
    { at: 'a', confidence: 'luck' },
    { at: 'a', confidence: 'toString' },
    { at: 'a', kind: 'both' },
    { at: 'a', more: 1 },
  ];
  for (const options of bad) assert.ok(!valid(options), JSON.stringify(options));
});

test('a workload that has no places of its own gets no variant', async (t) => {
  const work = await workloadOf(t, floatModel(), small);
  const recipe = [{ operator: 'early-exit', options: { at: { another: 'a' } } }];
  assert.deepEqual(await buildVariants(work, 'x', recipe, { cache: work.cache }), []);
});

test('it stops when told to', async (t) => {
  const work = await workloadOf(t, floatModel());
  const stop = new AbortController();
  const progress = { start: () => {}, update: () => stop.abort(), stop: () => {} };
  const recipe = [{ operator: 'early-exit', options: { at: 'a' } }];
  const options = { cache: work.cache, signal: stop.signal, progress: progress as never };
  await assert.rejects(buildVariants(work, 'x', recipe, options), { kind: 'cancelled' });
  const { exits } = await evaluate(work, (await exited(work, { at: 'a' })).variant.stages, 'tuning', { threads: 1 });
  assert.equal(exits.length, 1);
});
