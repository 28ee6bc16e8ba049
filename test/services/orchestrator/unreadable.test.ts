import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Progress } from '../../../base/progress.js';
import { packStudy } from '../../../services/orchestrator/index.js';
import { planFile } from '../../../services/orchestrator/plan-file.js';
import { planTable } from '../../../services/orchestrator/plan-table.js';
import { resolveStudy } from '../../../services/orchestrator/resolve.js';
import { loadStudy } from '../../../services/orchestrator/study.js';
import { writeTinyStudy } from './tiny-study.js';

async function studyIn(t: TestContext, pictures: number): Promise<{ folder: string; path: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-unreadable-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = await writeTinyStudy(folder, { recipes: { whole: [] }, placements: ['mobile'] }, pictures);
  return { folder, path };
}

const signal = new AbortController().signal;

test('items that cannot be read or decoded are named, and no sample is planned of them', async (t) => {
  const { folder, path } = await studyIn(t, 5);
  const picture = join(folder, 'pictures', '1.png');
  await writeFile(picture, (await readFile(picture)).subarray(0, 60));
  await rm(join(folder, 'pictures', '3.png'));
  const said: (string | undefined)[] = [];
  const progress: Progress = { start() {}, update() {}, stop: (summary) => said.push(summary) };
  const file = await loadStudy(path);
  const study = await resolveStudy(file, progress, signal);
  const [{ items, unreadable } = { items: [], unreadable: [] }] = study.workloads;
  assert.deepEqual(
    items.map(({ id }) => id),
    ['0.png', '2.png', '4.png'],
  );
  assert.deepEqual(
    unreadable.map(({ id }) => id),
    ['1.png', '3.png'],
  );
  assert.match(unreadable[0]?.reason ?? '', /not a readable picture/);
  assert.match(unreadable[1]?.reason ?? '', /3\.png is not there/);
  assert.ok(said.some((summary) => /^2 of 5 items cannot be read: 1\.png \(/.test(summary ?? '')), said.join('\n'));
  const plan = planFile(study);
  assert.equal(plan.samples, 3 * 2);
  assert.deepEqual(plan.workloads[0]?.unreadable, unreadable);
  assert.match(planTable(file, plan), /Cannot be read and is left out: 3\.png of tiny \(/);
});

test('a study whose every item is unreadable is refused at its workload', async (t) => {
  const { folder, path } = await studyIn(t, 2);
  for (const name of ['0.png', '1.png']) await writeFile(join(folder, 'pictures', name), 'x');
  const progress: Progress = { start() {}, update() {}, stop() {} };
  await assert.rejects(resolveStudy(await loadStudy(path), progress, signal), (error: Error) => {
    assert.match(error.message, /tiny\.yaml:\d+: workloads\.tiny: none of its 2 items can be read/);
    return true;
  });
});

test('a study is sent without the files that are not there', async (t) => {
  const { folder, path } = await studyIn(t, 3);
  await rm(join(folder, 'pictures', '1.png'));
  const progress: Progress = { start() {}, update() {}, stop() {} };
  const packed = await packStudy(await loadStudy(path), await readFile(path, 'utf8'), { progress, signal });
  assert.deepEqual(packed.files.map((entry) => entry.path).sort(), [
    'labels.csv',
    'pictures/0.png',
    'pictures/2.png',
    'tiny.onnx',
  ]);
});
