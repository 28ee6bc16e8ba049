import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { initializerBytes } from '../../../onnx/initializer.js';
import type { Model } from '../../../onnx/model.js';
import { readModel } from '../../../onnx/read.js';
import { writeModel } from '../../../onnx/write.js';
import { renamedValues } from '../../../operators/distill/rename.js';
import { evaluate } from '../../../operators/evaluate.js';
import { buildVariants } from '../../../operators/recipe.js';
import type { Facts, Variant } from '../../../operators/variant.js';
import { architecture } from '../../../workloads/zoo/architectures.js';
import { freshWeights } from '../../../workloads/zoo/fresh-weights.js';
import { bert, brightest, pictures, type TestWorkload, texts } from './support.js';

async function distilled(
  work: TestWorkload,
  options: Readonly<Record<string, unknown>>,
): Promise<{ variant: Variant; facts: Facts; model: Model; path: string }> {
  const recipe = [{ operator: 'distill', options }];
  const [variant] = await buildVariants(work, 'x', recipe, { cache: work.cache, threads: 1 });
  const path = variant?.stages[0]?.files[0]?.path as string;
  return { variant: variant as Variant, facts: variant?.steps[0]?.facts ?? {}, model: await readModel(path), path };
}

const weight = (model: Model, name: string): Float32Array => {
  const found = model.graph.initializers.find((each) => each.name === name);
  assert.ok(found, name);
  return new Float32Array(Uint8Array.from(initializerBytes(found)).buffer);
};

const zoo = { zoo: 'resnet20', options: { blocks: [1, 1], channels: [4, 6] } };
const quick = { epochs: 2, batch: 8 };

test('a network of the zoo learns to answer like its teacher, and takes its place', async (t) => {
  const work = await pictures(t, brightest(), { training: 60, evaluation: 60 });
  const before = await evaluate(work, [{ files: [{ path: work.modelPath } as never] }], 'evaluation', { threads: 1 });
  assert.ok((before.value ?? 0) > 0.8, `the teacher is right on ${before.value}`);
  const optimizer = { kind: 'adamw', rate: 0.02 };
  const { variant, facts, model } = await distilled(work, {
    student: zoo,
    train: { epochs: 12, batch: 12, optimizer },
  });
  assert.deepEqual(
    [model.graph.inputs.map(({ name }) => name), model.graph.outputs.map(({ name }) => name)],
    [['x'], ['scores']],
  );
  assert.deepEqual(facts.built, { classes: 3, imageSize: 8, ...zoo.options });
  const teacher = facts.teacher as Facts;
  assert.deepEqual([teacher.items, teacher.where], [60, 'memory']);
  const after = await evaluate(work, variant.stages, 'evaluation', { threads: 1 });
  assert.ok((after.value ?? 0) > 0.6, `the student is right on ${after.value}`);
  assert.deepEqual(model.metadataProps, [{ key: 'tierbed.recipe', value: 'distill' }]);
  // Nothing is left behind that only training needed.
  assert.ok(!model.graph.initializers.some(({ name }) => name.startsWith('distill')));
  const checkpoints = join(work.cache, 'training');
  assert.deepEqual(existsSync(checkpoints) ? readdirSync(checkpoints) : [], []);
});

test('the same seed gives the same student, and another seed another', async (t) => {
  const work = await pictures(t);
  const again = { ...work, cache: join(work.folder, 'other') };
  const student = { student: zoo, train: { ...quick, seed: 3 } };
  const [a, b] = [await distilled(work, student), await distilled(again, student)];
  assert.equal(a.variant.stages[0]?.files[0]?.sha256, b.variant.stages[0]?.files[0]?.sha256);
  const c = await distilled(work, { ...student, train: { ...quick, seed: 4 } });
  assert.notEqual(a.variant.stages[0]?.files[0]?.sha256, c.variant.stages[0]?.files[0]?.sha256);
});

test('a BERT is taught its states and its attention, and begins as layers of its teacher', async (t) => {
  const work = await texts(t, bert(4, 16, 4));
  const path = join(work.folder, 'student.onnx');
  await writeModel(bert(2, 16, 2, 7), path);
  const taught = { hidden: { at: 'layers' }, attention: { at: 'layers', weight: 0.5 }, train: quick };
  const { facts, model } = await distilled(work, { student: path, init: 'teacher', ...taught });
  const init = facts.init as { weights: number; layers: Record<string, number[]> };
  assert.deepEqual(init.layers['bert.encoder.layer.'], [0, 3]);
  const layers = (ends: string) =>
    [
      [0, 1],
      [1, 3],
    ].map(([own, its]) => ({ student: `encoder.layer.${own}${ends}`, teacher: `encoder.layer.${its}${ends}` }));
  assert.deepEqual((facts.hidden as Facts).pairs, [{ student: 'embeddings', teacher: 'embeddings' }, ...layers('')]);
  assert.deepEqual((facts.attention as Facts).pairs, layers('.attention.self.shares'));
  assert.equal(model.graph.outputs.length, 1);
});

test('a narrower BERT is compared behind projections, which it does not keep', async (t) => {
  const work = await texts(t, bert(2, 16, 2));
  const options = { layers: 2, hidden: 8, heads: 2, intermediate: 16, positions: 6 };
  const hidden = { at: 'layers' };
  const { facts, model } = await distilled(work, { student: { zoo: 'bert-tiny', options }, hidden, train: quick });
  assert.equal((facts.built as Facts).vocabulary, 12);
  assert.ok(!model.graph.initializers.some(({ name }) => name.startsWith('distill')));
});

test('a teacher is asked about augmented batches when that is wanted', async (t) => {
  const work = await pictures(t);
  const train = { ...quick, augment: [{ kind: 'flip' }, { kind: 'crop', pad: 1 }] };
  const options = { student: zoo, hidden: { at: [{ teacher: 'means', student: 'flatten' }] }, train };
  await assert.rejects(distilled(work, options), { kind: 'invalid', message: /'flip' moves/, fix: /teacherSees/ });
  const { facts } = await distilled(work, { ...options, teacherSees: 'batch' });
  assert.deepEqual(facts.teacher, { asked: 'every augmented batch' });
});

test('answers beyond the bound go to a file, and give the same student', async (t) => {
  const work = await pictures(t);
  const a = await distilled(work, { student: zoo, train: quick });
  const b = await distilled(work, { student: zoo, train: quick, cacheMB: 0 });
  assert.equal((b.facts.teacher as Facts).where, 'file');
  assert.deepEqual(weight(b.model, 'fc.weight'), weight(a.model, 'fc.weight'));
});

test('labels are not needed where the teacher alone is listened to', async (t) => {
  const work = await pictures(t);
  const without = { ...work, training: work.training.map((item) => ({ ...item, label: '' })) };
  await distilled(without, { student: zoo, alpha: 1, train: quick });
  await assert.rejects(distilled(without, { student: zoo, alpha: 0.5, train: quick }), {
    kind: 'invalid',
    message: /training\/0 has no label/,
  });
});

test('what is pruned is taught by the model as it was, and keeps its zeros', async (t) => {
  const work = await pictures(t);
  const model = await readModel(work.modelPath);
  const pruned = join(work.folder, 'pruned.onnx');
  const zeroed = model.graph.initializers.map((each) => {
    if (each.name !== 'layer.1.weight') return each;
    const values = weight(model, each.name).map((value) => (Math.abs(value) < 0.5 ? 0 : value));
    return { ...each, data: { kind: 'raw', bytes: new Uint8Array(values.buffer) } as const };
  });
  await writeModel({ ...model, graph: { ...model.graph, initializers: zeroed } }, pruned);
  const { distill } = await import('../../../operators/distill.js');
  const { describeModel } = await import('../../../operators/model-files.js');
  const step = { operator: 'prune', options: {}, version: 1, tookMs: 0, cached: false, facts: {} };
  const [made] = await distill.apply(
    { name: 'pruned', stages: [await describeModel(pruned)], steps: [step] },
    { student: 'self', train: quick },
    {
      ...{ workload: work, threads: 1, outDir: work.folder, workDir: join(work.folder, 'work') },
      ...{ progress: { start() {}, update() {}, stop() {} }, signal: new AbortController().signal },
    },
  );
  const after = weight(await readModel(made?.stages[0]?.files[0]?.path as string), 'layer.1.weight');
  const before = weight(await readModel(pruned), 'layer.1.weight');
  assert.deepEqual(
    [...after].map((value) => value === 0),
    [...before].map((value) => value === 0),
  );
  assert.notDeepEqual(after, before);
  assert.equal(made?.facts?.kept, 'zeros');
});

test('another file of the student makes another variant', async (t) => {
  const work = await pictures(t);
  const path = join(work.folder, 'student.onnx');
  const made: (string | undefined)[] = [];
  for (const seed of [1, 2, 1]) {
    const { model } = architecture('resnet20').build(freshWeights(seed), { ...zoo.options, classes: 3, imageSize: 8 });
    await writeModel(
      renamedValues(
        model,
        new Map([
          ['input', 'x'],
          ['logits', 'scores'],
        ]),
      ),
      path,
    );
    const { variant } = await distilled(work, { student: path, train: { epochs: 1, batch: 8 } });
    made.push(variant.stages[0]?.files[0]?.path);
  }
  assert.notEqual(made[1], made[0]);
  assert.equal(made[2], made[0]);
});

test('students that make no sense are refused before anything is built', async (t) => {
  const work = await pictures(t);
  const refused = (student: unknown, expected: object) =>
    assert.rejects(distilled(work, { student, train: quick }), expected);
  await refused('resnet21', { kind: 'missing', message: /no network resnet21/ });
  await refused(join(work.folder, 'nowhere.onnx'), { kind: 'missing', message: /nowhere\.onnx/ });
  const other = { zoo: 'resnet20', options: { ...zoo.options, classes: 7 } };
  await refused(other, { kind: 'invalid', message: /\[1, 7\] for one item/, fix: /3 classes/ });
  await refused({ ...zoo, options: { ...zoo.options, imageSize: 16 } }, { kind: 'invalid', fix: /imageSize/ });
  await refused({ zoo: 'bert-tiny' }, { kind: 'invalid', message: /input 'input_ids'/ });
  await refused('self', { kind: 'invalid', message: /its own teacher/, fix: /behind an operator such as prune/ });
  await assert.rejects(distilled(work, { student: zoo, alpha: 0 }), {
    kind: 'invalid',
    message: /nothing else is learned/,
  });
  const without = (options: object, message: RegExp) =>
    assert.rejects(distilled(work, { student: zoo, ...options }), { kind: 'invalid', message, fix: /Leave `/ });
  await without({ alpha: 0, temperature: 2, hidden: { at: ['layer.0'] } }, /temperature softens the teacher's scores/);
  await without({ alpha: 1, train: { labelSmoothing: 0.1 } }, /labelSmoothing is for the labels/);
  await without({ teacherSees: 'batch', cacheMB: 5 }, /cacheMB .* nothing is kept/);
  await without({ student: 'self', init: 'teacher' }, /put back what was taken out/);
  const numbers = { ...work, postprocess: { kind: 'numbers', output: 'scores' } } as const;
  await assert.rejects(distilled(numbers, { student: zoo, temperature: 2 }), {
    ...{ kind: 'invalid', message: /distill\.temperature softens scores of classes/, fix: /Leave/ },
  });
  const regression = { ...work, postprocess: { kind: 'digest' } } as const;
  await assert.rejects(distilled(regression, { student: zoo }), { message: /postprocessing 'digest'/ });
});
