import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readModel } from '../../../onnx/read.js';
import { openModel } from '../../../onnx/runtime/session.js';
import { float32Values, type NamedTensor } from '../../../onnx/tensor.js';
import { Chain } from '../../../operators/chain.js';
import { NEVER } from '../../../operators/early-exit/thresholds.js';
import { evaluate } from '../../../operators/evaluate.js';
import type { StageModel } from '../../../operators/variant.js';
import { confidenceOf, exitAnswer } from '../../../workloads/exit-rule.js';
import { argmax } from '../../../workloads/postprocess/argmax.js';
import { close, exited, floatModel, inputsOf, numbers, outputsOf, qdqModel, workloadOf } from './support.js';

const LOGITS = { kind: 'argmax', output: 'logits' } as const;
const outputNames = async (stage: StageModel | undefined) =>
  (await readModel(stage?.files[0]?.path as string)).graph.outputs.map(({ name }) => name);

test('each stage but the last ends in what crosses and in the scores of its exit', async (t) => {
  const work = await workloadOf(t, floatModel());
  const { variant, facts } = await exited(work, { at: ['a', 'b'], maxDrop: 3 });
  assert.deepEqual(await Promise.all(variant.stages.map(outputNames)), [
    ['a', 'tierbed.exit0.scores'],
    ['b', 'tierbed.exit1.scores'],
    ['logits'],
  ]);
  assert.deepEqual(
    variant.stages.map(({ exit }) => exit && { ...exit, threshold: 0 }),
    [0, 1, undefined]
      .map(
        (i) =>
          i !== undefined && {
            ...{ scores: `tierbed.exit${i}.scores`, answer: 'logits', confidence: 'max-probability', threshold: 0 },
          },
      )
      .map((rule) => rule || undefined),
  );
  assert.deepEqual(
    variant.stages.map(({ exit }) => exit?.threshold),
    [...facts.exits.map(({ threshold }) => threshold), undefined],
  );
  assert.deepEqual(facts.crossing, [
    { tensors: ['a'], bytes: 4 * 216 },
    { tensors: ['b'], bytes: 4 * 216 },
  ]);
  assert.deepEqual(facts.items, { calibration: 60, tuning: 60 });
  const shares = facts.stageMacsShares.map((share) => share as number);
  assert.ok(Math.abs(shares.reduce((a, b) => a + b, 0) - 1) < 0.01, `${shares}`);
});

test('the whole answers as the model where no exit is sure, and with the scores of the exit that is', async (t) => {
  // The model itself says what is right: the exits are to imitate it, and err.
  const work = await workloadOf(t, floatModel(), { labelOf: () => '' });
  const { variant, facts } = await exited(work, { at: ['a', 'b'], maxDrop: 5 });
  const chain = await Chain.open(variant.stages, 1);
  t.after(() => chain.close());
  const counts = [0, 0, 0];
  let right = 0;
  for (const { inputs } of await inputsOf(work, 'tuning')) {
    const seen: (readonly string[])[] = [];
    const { outputs, exit } = await chain.run(inputs, (_, found) => seen.push(found.map(({ name }) => name)));
    counts[exit ?? 2] = (counts[exit ?? 2] as number) + 1;
    assert.equal(seen.length, (exit ?? 2) + 1, 'stages behind an exit do not run');
    const model = (await outputsOf(work.modelPath, inputs)).get('logits') as NamedTensor['tensor'];
    if (argmax(LOGITS, outputs) === argmax(LOGITS, [{ name: 'logits', tensor: model }])) right++;
    const whole = numbers(model);
    const mine = numbers(outputs.find(({ name }) => name === 'logits')?.tensor);
    assert.equal(close(mine, whole), exit === undefined);
  }
  // What the thresholds were chosen by is what happens.
  assert.deepEqual(
    counts.slice(0, 2).map((count) => count / 60),
    facts.exits.map(({ tuningShare }) => tuningShare),
  );
  assert.equal(right / 60, facts.tuning.accuracy);
  assert.ok(facts.tuning.accuracy >= facts.tuning.fullAccuracy - 0.05 - 1e-9);
  assert.ok(
    counts.every((count) => count > 0),
    `${counts}: the items reach every place`,
  );
});

test('the drop bounds what leaves: none at a drop of nothing where the exit errs, all where anything goes', async (t) => {
  const work = await workloadOf(t, floatModel(), { labelOf: () => '' });
  const shares = [];
  for (const maxDrop of [0, 3, 100]) {
    const { facts } = await exited(work, { at: 'a', maxDrop });
    assert.ok(facts.tuning.accuracy >= facts.tuning.fullAccuracy - maxDrop / 100 - 1e-9);
    shares.push(facts.exits[0]?.tuningShare as number);
  }
  assert.ok((shares[0] as number) < (shares[1] as number) && (shares[1] as number) < 1, `${shares}`);
  assert.equal(shares[2], 1);
});

test('without labels the model itself says what is right', async (t) => {
  const work = await workloadOf(t, floatModel(), { labelOf: () => '' });
  const { facts } = await exited(work, { at: 'b' });
  assert.equal(facts.tuning.fullAccuracy, 1);
  assert.ok((facts.exits[0]?.tuningShare as number) > 0);
});

test('every measure of confidence gives a rule of its own', async (t) => {
  const work = await workloadOf(t, floatModel());
  for (const confidence of ['margin', 'entropy'] as const) {
    const { variant } = await exited(work, { at: 'b', confidence, maxDrop: 10 });
    const rule = variant.stages[0]?.exit;
    assert.equal(rule?.confidence, confidence);
    const { exits } = await evaluate(work, variant.stages, 'tuning', { threads: 1 });
    assert.ok((exits[0] as number) > 0);
  }
});

test('an exit of a quantised model looks at what its int8 tensor stands for, and the int8 tensor crosses', async (t) => {
  const work = await workloadOf(t, qdqModel());
  const { variant, facts } = await exited(work, { at: ['a', 'b'], maxDrop: 5 });
  assert.deepEqual(
    facts.crossing,
    ['a', 'b'].map((name) => ({ tensors: [`${name}_quantized`], bytes: 216 })),
  );
  const [item] = await inputsOf(work, 'evaluation');
  const session = await openModel(variant.stages[0]?.files[0]?.path as string, { threads: 1 });
  const outputs = await session.run(item?.inputs ?? []);
  await session.close();
  assert.deepEqual(
    outputs.map(({ name, tensor }) => [name, tensor.dtype]),
    [
      ['a_quantized', 'uint8'],
      ['tierbed.exit0.scores', 'float32'],
    ],
  );
  // All that goes on is the model's own answer, in the same bytes.
  const never = variant.stages.map(({ exit, ...stage }): StageModel => {
    return exit ? { ...stage, exit: { ...exit, threshold: NEVER } } : stage;
  });
  const chain = await Chain.open(never, 1);
  t.after(() => chain.close());
  for (const { inputs } of (await inputsOf(work, 'evaluation')).slice(0, 5)) {
    const { outputs } = await chain.run(inputs);
    assert.ok(close(numbers(outputs[0]?.tensor), numbers((await outputsOf(work.modelPath, inputs)).get('logits'))));
  }
  const { exits } = await evaluate(work, variant.stages, 'tuning', { threads: 1 });
  assert.deepEqual(
    exits.map((count) => count / 60),
    facts.exits.map(({ tuningShare }) => tuningShare),
  );
});

test('what is built is taken from the cache until the data or the options change', async (t) => {
  const work = await workloadOf(t, floatModel(), { sizes: { calibration: 30, tuning: 30 } });
  const first = await exited(work, { at: 'b' });
  const again = await exited(work, { at: 'b' });
  assert.deepEqual([again.variant.stages, again.facts], [first.variant.stages, first.facts]);
  assert.deepEqual(
    [first, again].map(({ variant }) => variant.steps[0]?.cached),
    [false, true],
  );
  const other = { ...work, tuning: work.tuning.slice(1) };
  const path = ({ variant }: typeof first) => variant.stages[0]?.files[0]?.path;
  assert.notEqual(path(await exited(other, { at: 'b' })), path(first));
  assert.notEqual(path(await exited(work, { at: 'b', maxDrop: 2 })), path(first));
});

test('only so many items of each part are used', async (t) => {
  const work = await workloadOf(t, floatModel());
  const { facts } = await exited(work, { at: 'b', items: 21 });
  assert.deepEqual([facts.items, facts.tuning.n], [{ calibration: 21, tuning: 21 }, 21]);
});

test('items that cannot be read are named, and the others used', async (t) => {
  const work = await workloadOf(t, floatModel());
  const broken = { ...work.tuning[3], read: async () => Uint8Array.of(1, 2) } as (typeof work.tuning)[number];
  const { facts } = await exited({ ...work, tuning: work.tuning.with(3, broken) }, { at: 'b' });
  assert.deepEqual(
    facts.unreadable.map(({ id }) => id),
    ['tuning/3'],
  );
  assert.equal(facts.tuning.n, 59);
});

test('the model says how it was made, and the rule is what the stage gives', async (t) => {
  const work = await workloadOf(t, floatModel());
  const { variant } = await exited(work, { at: 'b' });
  for (const { files } of variant.stages) {
    const { metadataProps } = await readModel(files[0]?.path as string);
    assert.deepEqual(metadataProps, [{ key: 'tierbed.recipe', value: 'early-exit' }]);
  }
  const rule = variant.stages[0]?.exit as NonNullable<StageModel['exit']>;
  const [item] = await inputsOf(work, 'evaluation');
  const found = await outputsOf(variant.stages[0]?.files[0]?.path as string, item?.inputs ?? []);
  const outputs = [...found].map(([name, tensor]) => ({ name, tensor }));
  const sure = confidenceOf(rule, outputs);
  const answer = exitAnswer({ ...rule, threshold: sure }, outputs);
  assert.deepEqual(answer?.[0]?.name, 'logits');
  assert.equal(float32Values(answer?.[0]?.tensor as never).length, 3);
  assert.equal(exitAnswer({ ...rule, threshold: sure + 1e-9 }, outputs), undefined);
});
