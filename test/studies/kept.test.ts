import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ownRecipes } from '../../cli/own/recipes.js';
import { outside, readRecord } from '../../cli/own/record.js';
import { evaluate } from '../../operators/evaluate.js';
import { operator } from '../../operators/index.js';
import { KEPT_STEPS } from '../../operators/kept-steps.js';
import { describeModel } from '../../operators/model-files.js';
import { buildVariants } from '../../operators/recipe.js';
import { stepsFor } from '../../operators/steps-for.js';
import { loadOwn, ownNames } from '../../workloads/own/index.js';
import { KEPT } from '../../workloads/own/kept-network.js';

const record = await readRecord(KEPT);

test('every step of the quickstart that trains is kept: nobody waits for training', async (t) => {
  const cache = await mkdtemp(join(tmpdir(), 'tierbed-kept-'));
  t.after(() => rm(cache, { recursive: true, force: true }));
  const found = new Set<string>();
  for (const name of ownNames) {
    const workload = await loadOwn(name, {});
    for (const [recipe, all] of await ownRecipes()) {
      const steps = stepsFor(all, name) ?? [];
      const trains = steps.map((step) => operator(step.operator).reads?.(step.options)?.includes('training') ?? false);
      await buildVariants(workload, recipe, steps.slice(0, trains.lastIndexOf(true) + 1), {
        cache,
        onStep({ step, key, found: kept }) {
          if (!operator(step.operator).reads?.(step.options)?.includes('training')) return;
          found.add(key);
          if (kept) return;
          throw new Error(`${recipe} of ${name}: ${step.operator} would be trained: run \`tierbed own train\``);
        },
      });
    }
  }
  assert.deepEqual((await readdir(KEPT_STEPS)).sort(), [...found].sort(), 'steps that nothing uses are kept');
});

test('the networks that are kept are worth what is stated', async () => {
  for (const name of ownNames) {
    const workload = await loadOwn(name, {});
    // A third of the items: within the interval of all, and three times as wide.
    const some = { ...workload, items: workload.items.slice(0, 300) };
    const { value, n } = await evaluate(some, [await describeModel(workload.modelPath)], 'evaluation', { threads: 1 });
    const stated = record[name]?.teacher;
    assert.ok(stated && Math.abs((value as number) - stated.accuracy) < 0.07, `${name}: ${value} of ${n}`);
  }
});

test('teachers are not perfect, students fall short of them, and every compression costs something', () => {
  for (const name of ownNames) {
    const { teacher, student, ...variants } = record[name] ?? {};
    assert.ok(teacher && teacher.accuracy < 0.95 && teacher.accuracy > 0.85, `${name}: ${teacher?.accuracy}`);
    assert.ok(student && student.accuracy < teacher.accuracy - 0.05, `${name}: ${student?.accuracy}`);
    for (const [recipe, { accuracy, interval }] of Object.entries(variants)) {
      assert.ok(accuracy <= teacher.accuracy + 0.005, `${name} ${recipe}: ${accuracy}`);
      assert.ok(interval[0] <= accuracy && accuracy <= interval[1]);
    }
  }
});

test('what is kept takes 12 MB at most', async () => {
  const files = await readdir(KEPT, { recursive: true, withFileTypes: true });
  let bytes = 0;
  for (const file of files.filter((each) => each.isFile()))
    bytes += (await stat(join(file.parentPath, file.name))).size;
  assert.ok(bytes < 12e6, `${bytes} bytes`);
});

test('what is trained again must lie in the interval that is stated', () => {
  const of = (accuracy: number) => ({
    ...{ accuracy, items: 100, interval: [0.8, 0.9] as const, parameters: 1, bytes: 4, seconds: 1 },
    steps: [],
  });
  assert.deepEqual(outside({ w: { a: of(0.85) } }, { w: { a: of(0.8) } }), []);
  assert.deepEqual(outside({}, { w: { a: of(0.1) } }), []);
  assert.deepEqual(outside({ w: { a: of(0.85), b: of(0.85) } }, { w: { a: of(0.85), b: of(0.91) } }), [
    'w b: 91.0 % is not within 80.0 % to 90.0 %',
  ]);
});
