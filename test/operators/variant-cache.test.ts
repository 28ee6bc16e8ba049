import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { makeBuildingFolder, removeAbandoned } from '../../operators/building-folder.js';
import { buildVariants } from '../../operators/recipe.js';
import type { Step } from '../../operators/variant.js';
import type { Workload } from '../../workloads/types.js';
import { applied } from './test-operators.js';
import { tinyWorkload } from './tiny-workload.js';

async function setUp(t: TestContext): Promise<{ work: Workload; folder: string; cache: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-cache-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return { work: await tinyWorkload(folder), folder, cache: join(folder, 'cache') };
}

const step = (operator: string, options: Step['options'] = {}): Step => ({ operator, options });
const times = (operator: string): number => applied.get(operator) ?? 0;
const cut = step('partition', { at: ['relu1'] });

test('recipes that begin alike share what they begin with, whatever they are called', async (t) => {
  const { work, cache } = await setUp(t);
  const before = times('note');
  const [alone] = await buildVariants(work, 'fast', [step('note')], { cache });
  const [both] = await buildVariants(work, 'note+partition', [step('note'), cut], { cache });
  assert.equal(times('note') - before, 1);
  assert.deepEqual([alone?.name, both?.name], ['fast', 'note+partition']);
  assert.deepEqual(
    both?.steps.map(({ operator, cached }) => [operator, cached]),
    [
      ['note', true],
      ['partition', false],
    ],
  );
  assert.deepEqual(both?.steps[0]?.facts, { text: 'noted' });
  assert.equal(both?.steps[0]?.tookMs, alone?.steps[0]?.tookMs, 'a cached step keeps its time');
});

test('several variants keep what was added to their names', async (t) => {
  const { work, cache } = await setUp(t);
  const names = async (name: string) => (await buildVariants(work, name, [step('both')], { cache })).map((v) => v.name);
  assert.deepEqual(await names('x'), ['x-a', 'x-b']);
  const before = times('both');
  assert.deepEqual(await names('yy'), ['yy-a', 'yy-b']);
  assert.equal(times('both'), before);
});

test('the order in which options are written does not matter, their values and the data do', async (t) => {
  const { work, cache } = await setUp(t);
  const build = (options: Step['options'], of = work) => buildVariants(of, 'x', [step('note', options)], { cache });
  await build({ text: 'a', n: 1, reads: true });
  const before = times('note');
  await build({ reads: true, n: 1, text: 'a' });
  assert.equal(times('note'), before);
  await build({ text: 'a', n: 2, reads: true });
  assert.equal(times('note'), before + 1);
  await build({ text: 'a', n: 1, reads: true }, { ...work, calibration: work.calibration.slice(1) });
  assert.equal(times('note'), before + 2);
  await build({ text: 'a', n: 1, reads: true }, { ...work, tuning: work.calibration });
  assert.equal(times('note'), before + 2, 'a part that it does not read');
});

test('an operator that wants a whole model is not given stages, whoever made them', async (t) => {
  const { work, cache } = await setUp(t);
  await assert.rejects(buildVariants(work, 'x', [step('sneaky'), step('note')], { cache }), {
    kind: 'invalid',
    message: 'x: note works on a model in one piece, and this one is cut already',
  });
});

test('an operator that fails leaves nothing in the cache', async (t) => {
  const { work, cache } = await setUp(t);
  await assert.rejects(buildVariants(work, 'x', [step('partition', { at: ['nowhere'] })], { cache }), {
    kind: 'invalid',
  });
  assert.deepEqual(readdirSync(cache), []);
});

/** A folder with room for that many bytes and no more; undefined where this process may not mount one. */
function smallDisk(t: TestContext, bytes: number): string | undefined {
  const disk = mkdtempSync(join(tmpdir(), 'tierbed-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', disk], { stdio: 'ignore' });
  } catch {
    rmdirSync(disk);
    t.skip('mounting a small disk takes root');
    return undefined;
  }
  t.after(() => {
    execFileSync('umount', ['-l', disk]);
    rmdirSync(disk);
  });
  return disk;
}

test('a disk that fills up leaves nothing that is ever found', async (t) => {
  const { work } = await setUp(t);
  const cache = smallDisk(t, 256 << 10);
  if (cache === undefined) return;
  const full = {
    kind: 'exhausted',
    message: /no room left in the cache .*disk/,
    fix: /Free some space there, or set TIERBED_CACHE/,
  };
  const build = (bytes: number) => buildVariants(work, 'x', [step('large', { bytes })], { cache });
  // The operator's own write fails.
  await assert.rejects(build(1 << 20), full);
  assert.deepEqual(readdirSync(cache), []);
  // The write of the model does, for which no page is left beside the operator's own file.
  writeFileSync(join(cache, 'ballast'), new Uint8Array((256 << 10) - 4096));
  await assert.rejects(build(1), full);
  assert.deepEqual(readdirSync(cache), ['ballast']);
  rmSync(join(cache, 'ballast'));
  const before = times('large');
  await build(1);
  assert.equal(times('large'), before + 1);
  await build(1);
  assert.equal(times('large'), before + 1);
});

test('a folder that was not finished is not taken for one that was', async (t) => {
  const { work, cache } = await setUp(t);
  await buildVariants(work, 'x', [step('note')], { cache });
  const [kept] = readdirSync(cache) as [string];
  const entry = join(cache, kept, 'variants.json');
  const text = readFileSync(entry, 'utf8');
  const before = times('note');
  for (const [i, broken] of ['', text.slice(0, -40), '{}', '[]', '{"tookMs": 1}'].entries()) {
    writeFileSync(entry, broken);
    await buildVariants(work, 'x', [step('note')], { cache });
    assert.equal(times('note'), before + i + 1);
    assert.deepEqual(readdirSync(cache), [kept]);
  }
  rmSync(entry);
  await buildVariants(work, 'x', [step('note')], { cache });
  assert.equal(times('note'), before + 6);
});

test('what a killed process leaves is never used, and is removed when it is old', async (t) => {
  const { work, folder, cache } = await setUp(t);
  const script = join(folder, 'slow.mjs');
  const modules = { recipe: '../../operators/recipe.js', operators: './test-operators.js', tiny: './tiny-workload.js' };
  const url = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
  writeFileSync(
    script,
    `import { buildVariants } from ${url(modules.recipe)};
     import ${url(modules.operators)};
     import { tinyWorkload } from ${url(modules.tiny)};
     const work = await tinyWorkload(${JSON.stringify(folder)});
     await buildVariants(work, 'x', [{ operator: 'slow', options: {} }], { cache: ${JSON.stringify(cache)} });`,
  );
  const child = spawn(process.execPath, [script], {
    stdio: 'inherit',
    cwd: fileURLToPath(new URL('.', import.meta.url)),
  });
  t.after(() => child.kill('SIGKILL'));
  const half = (): string | undefined => {
    const names = existsSync(cache) ? readdirSync(cache) : [];
    return names.find((name) => existsSync(join(cache, name, 'half.onnx')));
  };
  for (let i = 0; half() === undefined; i++) {
    assert.ok(i < 600 && child.exitCode === null, 'the operator began');
    await delay(50);
  }
  const left = half() as string;
  assert.match(left, /^building-/);
  const hoursAgo = (hours: number): void => {
    const time = Date.now() / 1000 - 3600 * hours;
    utimesSync(join(cache, left), time, time);
  };
  hoursAgo(1000);
  await buildVariants(work, 'x', [step('note')], { cache });
  assert.ok(existsSync(join(cache, left)), 'it is held');
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
  hoursAgo(0);
  await buildVariants(work, 'x', [step('note', { n: 1 })], { cache });
  assert.ok(existsSync(join(cache, left)), 'it is young');
  hoursAgo(2);
  await buildVariants(work, 'x', [step('note', { n: 2 })], { cache });
  assert.ok(!existsSync(join(cache, left)));
  assert.equal(readdirSync(cache).length, 3);
});

test('folders of processes that cannot be asked for are left for a week', async (t) => {
  const { folder } = await setUp(t);
  const own = await makeBuildingFolder(folder);
  const others = ['building-1-2-00000000-abcdef', 'building-abcdef'].map((name) => join(folder, name));
  for (const other of others) mkdirSync(other);
  const day = 24 * 3_600_000;
  await removeAbandoned(folder, 'building', Date.now() + 6 * day);
  assert.ok(others.every((other) => existsSync(other)));
  await removeAbandoned(folder, 'building', Date.now() + 8 * day);
  assert.ok(others.every((other) => !existsSync(other)));
  assert.ok(existsSync(own.path), 'its process is this one');
  assert.ok(existsSync(join(folder, 'tiny.onnx')));
});
