import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { addLine, found, parseLines, type Run, readLines, recipeKey } from '../../bench/real-data-runs.js';

const RUN: Run = {
  ...{ kind: 'accuracy', side: 'tierbed', data: 'd', operator: 'prune', seed: 2, key: 'k' },
  ...{ accuracy: 80, items: 10, bytes: 4, seconds: 1 },
};

test('the key of a recipe follows its steps, their options and the data', () => {
  const steps = [{ operator: 'prune', options: { sparsity: 0.3 } }];
  const key = recipeKey({ items: 1 }, steps);
  assert.equal(recipeKey({ items: 1 }, [{ operator: 'prune', options: { sparsity: 0.3 } }]), key);
  assert.notEqual(recipeKey({ items: 2 }, steps), key);
  assert.notEqual(recipeKey({ items: 1 }, [{ operator: 'prune', options: { sparsity: 0.4 } }]), key);
  assert.notEqual(recipeKey({ items: 1 }, [...steps, { operator: 'sptq', options: {} }]), key);
});

test('a run is found by all that it is of, and by nothing less', () => {
  const { kind, ...id } = RUN;
  assert.equal(found([RUN], kind, id), RUN);
  const others = { side: 'pytorch', data: 'e', operator: 'qat', seed: 3, key: 'other' } as const;
  for (const [name, value] of Object.entries(others)) {
    assert.equal(found([RUN], 'accuracy', { ...id, [name]: value }), undefined, name);
  }
  assert.equal(found([RUN], 'latency', id), undefined);
});

test('of two lines of one run the later counts', () => {
  const again = { ...RUN, accuracy: 81 };
  assert.equal(found([RUN, again], 'accuracy', RUN)?.accuracy, 81);
});

test('a line that was cut off is passed over, and the others stay', () => {
  assert.deepEqual(parseLines(`${JSON.stringify(RUN)}\n{"kind":"accur`), [RUN]);
});

test('lines are added behind those that there are', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-runs-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'deep', 'runs.jsonl');
  assert.deepEqual(await readLines(path), []);
  await addLine(path, RUN);
  await addLine(path, { ...RUN, seed: 3 });
  assert.deepEqual(await readLines(path), [RUN, { ...RUN, seed: 3 }]);
});
