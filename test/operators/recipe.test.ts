import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Random } from '../../base/random.js';
import { GraphBuilder } from '../../onnx/build.js';
import { readModel } from '../../onnx/read.js';
import { writeModel } from '../../onnx/write.js';
import { OPERATORS, operator } from '../../operators/index.js';
import { describeModel } from '../../operators/model-files.js';
import { buildVariants } from '../../operators/recipe.js';
import { hashFile, type Step } from '../../operators/variant.js';
import type { Workload } from '../../workloads/types.js';

/** x -> a -> b -> c, with a skip from a to c: between b and c both a and b cross. */
async function workload(
  t: TestContext,
  external: 'always' | 'never' = 'never',
): Promise<{ work: Workload; cache: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-recipe-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const g = new GraphBuilder({ name: 'chain' });
  const w = g.weight('w', [16, 16], () => new Random(1).fillUniform(new Float32Array(256)));
  const a = g.node('MatMul', [g.input('x', 'float32', [1, 16]), w], {}, 'a');
  const b = g.node('Relu', [a], {}, 'b');
  g.output(g.node('Add', [a, b], {}, 'c'), 'float32', [1, 16]);
  const modelPath = join(folder, 'chain.onnx');
  await writeModel(g.build(), modelPath, { external, thresholdBytes: 0 });
  const work: Workload = {
    ...{ name: 'chain', modelPath, items: [], training: [], calibration: [], tuning: [], metric: 'none' },
    ...{ preprocess: { kind: 'tensors' }, postprocess: { kind: 'digest' } },
  };
  return { work, cache: join(folder, 'cache') };
}

const cutAt = (...at: (string | string[])[]): Step => ({ operator: 'partition', options: { at } });

test('the identity is the model itself, and so is a recipe of no steps', async (t) => {
  const { work, cache } = await workload(t);
  for (const recipe of [[], [{ operator: 'identity', options: {} }]]) {
    const [variant, ...more] = await buildVariants(work, 'whole', recipe, { cache });
    assert.equal(more.length, 0);
    assert.equal(variant?.stages[0]?.files[0]?.path, work.modelPath);
    assert.equal(variant?.stages[0]?.files[0]?.sha256, (await hashFile(work.modelPath)).sha256);
  }
});

test('a partition of k cuts has k + 1 stages that fit each other', async (t) => {
  const { work, cache } = await workload(t);
  const [variant] = await buildVariants(work, 'thirds', [cutAt('a', ['a', 'b'])], { cache });
  const stages = variant?.stages ?? [];
  assert.equal(stages.length, 3);
  const graphs = await Promise.all(stages.map(async ({ files }) => (await readModel(files[0]?.path as string)).graph));
  const names = (values: readonly { name: string }[] | undefined) => values?.map(({ name }) => name).sort();
  assert.deepEqual(
    graphs.map((graph) => [names(graph.inputs), names(graph.outputs)]),
    [
      [['x'], ['a']],
      [['a'], ['a', 'b']],
      [['a', 'b'], ['c']],
    ],
  );
  for (const { files } of stages) assert.equal(files[0]?.sha256, (await hashFile(files[0]?.path as string)).sha256);
});

test('a tensor set that does not separate the model is refused', async (t) => {
  const { work, cache } = await workload(t);
  await assert.rejects(buildVariants(work, 'x', [cutAt('b')], { cache }), { kind: 'invalid', message: /\ba\b/ });
  await assert.rejects(buildVariants(work, 'x', [cutAt('nowhere')], { cache }), {
    kind: 'invalid',
    message: /nowhere/,
  });
  await assert.rejects(buildVariants(work, 'x', [cutAt('a'), cutAt('b')], { cache }), {
    kind: 'invalid',
    message: /a model in one piece, and this one is cut already/,
  });
});

test('cuts given by workload leave the others whole', async (t) => {
  const { work, cache } = await workload(t);
  const step = (at: object): Step => ({ operator: 'partition', options: { at } });
  assert.equal((await buildVariants(work, 'x', [step({ chain: ['a'] })], { cache }))[0]?.stages.length, 2);
  assert.deepEqual(await buildVariants(work, 'x', [step({ another: ['a'] })], { cache }), []);
  assert.throws(() => operator('partition').check?.({ at: { anothr: ['a'] } }, ['chain', 'another']), {
    kind: 'invalid',
    message: /'anothr'/,
  });
});

test('what was built is taken from the cache, unless it was damaged or something changed', async (t) => {
  const { work, cache } = await workload(t);
  const build = async (at = 'a') => (await buildVariants(work, 'halves', [cutAt(at)], { cache }))[0]?.stages ?? [];
  const first = await build();
  const path = first[0]?.files[0]?.path as string;
  const made = (await stat(path)).mtimeMs;
  assert.deepEqual(await build(), first);
  assert.equal((await stat(path)).mtimeMs, made);

  const good = await readFile(path);
  await writeFile(path, 'damaged');
  const again = await build();
  assert.deepEqual(again, first);
  assert.deepEqual(await readFile(path), good);

  const model = await readModel(work.modelPath);
  await writeModel({ ...model, docString: 'changed' }, work.modelPath);
  const changed = await build();
  assert.notEqual(changed[0]?.files[0]?.path, path);
});

test('external data belongs to a model', async (t) => {
  const { work, cache } = await workload(t, 'always');
  const { files } = await describeModel(work.modelPath);
  assert.equal(files.length, 2);
  assert.equal(files[0]?.name, 'chain.onnx');
  assert.equal(files[1]?.name, basename(files[1]?.path as string));
  const [variant] = await buildVariants(work, 'halves', [cutAt('a')], { cache });
  assert.equal(variant?.stages.length, 2);
  await rm(files[1]?.path as string);
  await assert.rejects(describeModel(work.modelPath), { kind: 'missing' });
});

test('two processes that build the same both get it', async (t) => {
  const { work, cache } = await workload(t);
  const builds = await Promise.all([1, 2, 3, 4].map(() => buildVariants(work, 'halves', [cutAt('a')], { cache })));
  for (const variants of builds) {
    assert.deepEqual(variants[0]?.stages, builds[0]?.[0]?.stages);
    for (const { files } of variants[0]?.stages ?? []) assert.ok((await stat(files[0]?.path as string)).isFile());
  }
});

test('an operator that is not there is refused with those that are', () => {
  assert.throws(() => operator('melt'), { kind: 'invalid', message: /'melt'/, fix: /identity, partition/ });
  assert.throws(() => operator('identify'), { kind: 'invalid', fix: "Did you mean 'identity'?" });
  assert.equal(new Set(OPERATORS.map(({ name }) => name)).size, OPERATORS.length);
});
