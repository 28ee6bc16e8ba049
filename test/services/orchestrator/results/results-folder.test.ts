import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { lockFolder } from '../../../../services/orchestrator/results/lock.js';
import { ResultsFolder } from '../../../../services/orchestrator/results/results-folder.js';

async function temporary(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'tierbed-results-'));
  t.after(async () => {
    await chmod(path, 0o755);
    await rm(path, { recursive: true, force: true });
  });
  return path;
}

test('a folder has one user at a time', async (t) => {
  const path = join(await temporary(t), 'run');
  const first = await ResultsFolder.create('x', path);
  await assert.rejects(ResultsFolder.create('x', path), {
    kind: 'refused',
    message: new RegExp(`in use by another run \\(process ${process.pid}\\)`),
  });
  await first.writeJson('plan', {});
  await assert.rejects(ResultsFolder.resume(path), { kind: 'refused', message: /in use/ });
  await first.close();
  const second = await ResultsFolder.resume(path);
  await second.close();
  assert.deepEqual(await readdir(path), ['plan.json']);
});

test('a folder that holds a run is not written to again', async (t) => {
  const path = await temporary(t);
  await writeFile(join(path, 'samples.csv'), 'precious');
  await assert.rejects(ResultsFolder.create('x', path), {
    kind: 'refused',
    message: /holds a run already \(samples\.csv\)/,
  });
  assert.deepEqual(await readdir(path), ['samples.csv']);
});

test('the lock of a process that is gone is taken over, by one', async (t) => {
  const path = await temporary(t);
  const module = JSON.stringify(new URL('../../../../services/orchestrator/results/lock.js', import.meta.url).href);
  const script = `const { lockFolder } = await import(${module}); await lockFolder(${JSON.stringify(path)}); console.log('held'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  await assert.rejects(lockFolder(path), { kind: 'refused', message: new RegExp(`process ${child.pid}`) });
  child.kill('SIGKILL');
  await once(child, 'exit');
  const takers = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(path)));
  assert.equal(takers.filter(({ status }) => status === 'fulfilled').length, 1);
});

test('a pid that another process has by now does not keep a folder locked, nor does half a lock', async (t) => {
  const path = await temporary(t);
  const { hostname } = await import('node:os');
  await writeFile(join(path, '.lock'), JSON.stringify({ pid: process.pid, host: hostname(), startTicks: '1' }));
  await (await lockFolder(path)).release();
  await writeFile(join(path, '.lock'), '{"pid":');
  await (await lockFolder(path)).release();
  assert.deepEqual(await readdir(path), []);
});

test('results/latest leads to the newest run', async (t) => {
  const before = process.cwd();
  process.chdir(await temporary(t));
  t.after(() => process.chdir(before));
  const first = await ResultsFolder.create('study');
  const second = await ResultsFolder.create('study');
  assert.notEqual(first.path, second.path);
  assert.match(second.path, /^results\/study-\d{8}-\d{6}(-\d)?$/);
  assert.equal(join('results', await readlink('results/latest')), second.path);
  await Promise.all([first.close(), second.close()]);
});

test('a folder that cannot be written is refused', async (t) => {
  const path = await temporary(t);
  await writeFile(join(path, 'file'), '');
  await assert.rejects(ResultsFolder.create('x', join(path, 'file', 'run')), {
    kind: 'refused',
    message: /cannot be written/,
  });
  // Root may write anywhere but here.
  const readOnly = process.getuid?.() === 0 ? '/sys/tierbed' : join(path, 'sealed', 'run');
  if (process.getuid?.() !== 0) await mkdir(join(path, 'sealed'), { mode: 0o555 });
  await assert.rejects(ResultsFolder.create('x', readOnly), { kind: 'refused', message: /cannot be written/ });
});

test('a file appears whole or not at all', async (t) => {
  const folder = await ResultsFolder.create('x', join(await temporary(t), 'run'));
  await folder.writeJson('summary', { a: 1 });
  await mkdir(`${folder.file('links')}.part`);
  await assert.rejects(folder.writeJson('links', {}), { kind: 'refused' });
  assert.deepEqual(JSON.parse(await readFile(folder.file('summary'), 'utf8')), { a: 1 });
  assert.equal(await folder.readJson('links'), undefined);
  await folder.close();
});

test('a folder without a run cannot be resumed', async (t) => {
  await assert.rejects(ResultsFolder.resume(await temporary(t)), { kind: 'missing', message: /holds no run/ });
  await assert.rejects(ResultsFolder.resume('no/such/folder'), { kind: 'missing' });
});
