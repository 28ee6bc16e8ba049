import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { packStep } from '../../operators/kept-steps.js';
import { buildVariants } from '../../operators/recipe.js';
import type { Workload } from '../../workloads/types.js';
import { applied } from './test-operators.js';
import { tinyWorkload } from './tiny-workload.js';

const RECIPE = [{ operator: 'note', options: { text: 'kept', reads: true } }];

async function setUp(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-kept-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const work = await tinyWorkload(folder);
  const kept = join(folder, 'kept');
  const build = async (cache: string, workload: Workload = work) => {
    const keys: string[] = [];
    const [variant] = await buildVariants(workload, 'v', RECIPE, {
      ...{ cache: join(folder, cache), kept },
      onStep: ({ key }) => keys.push(key),
    });
    return { variant, key: keys[0] as string };
  };
  const { variant, key } = await build('first');
  await packStep(join(folder, 'first', key), kept, key);
  return { folder, kept, build, variant, key, work };
}

test('a step that the project keeps is not taken again', async (t) => {
  const { build, variant } = await setUp(t);
  const before = applied.get('note');
  const again = (await build('second')).variant;
  assert.equal(applied.get('note'), before);
  assert.equal(again?.stages[0]?.files[0]?.sha256, variant?.stages[0]?.files[0]?.sha256);
  assert.match(again?.stages[0]?.files[0]?.path ?? '', /second/);
  assert.deepEqual(again?.steps[0]?.facts, { text: 'kept' });
  assert.equal(again?.steps[0]?.cached, true);
});

test('one of other data is taken', async (t) => {
  const { build, work } = await setUp(t);
  const before = applied.get('note') ?? 0;
  await build('second', { ...work, calibration: work.calibration.slice(1) });
  assert.equal(applied.get('note'), before + 1);
});

test('one that is damaged is an error, and nothing of it is left in the cache', async (t) => {
  const { build, kept, key, folder } = await setUp(t);
  const files = await readdir(join(kept, key), { recursive: true });
  const model = files.find((file) => file.endsWith('.onnx.br')) as string;
  const record = files.find((file) => file.endsWith('.json.br')) as string;
  await copyFile(join(kept, key, record), join(kept, key, model));
  await assert.rejects(build('second'), { kind: 'invalid', message: /is damaged/ });
  assert.deepEqual(await readdir(join(folder, 'second')), []);
});
