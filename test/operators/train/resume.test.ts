import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { silent } from '../../../base/progress.js';
import { CHECKPOINT_FILE, train } from '../../../operators/train/train.js';
import type { TrainResult } from '../../../operators/train/types.js';
import { longRequest } from './long-request.js';
import { newFolder, weightsOf } from './toy.js';

const STEPS = 192;

/** All but times. */
function curveOf({ curve }: TrainResult) {
  return curve.map(({ seconds: _, ...point }) => point);
}

const whole = train(await longRequest(await newFolder()));

test('the same seed makes the same weights, and another seed others', async () => {
  const [first, again] = [await whole, await train(await longRequest(await newFolder()))];
  assert.deepEqual(weightsOf(again.model), weightsOf(first.model));
  assert.deepEqual(curveOf(again), curveOf(first));
  const request = await longRequest(await newFolder());
  const other = await train({ ...request, settings: { ...request.settings, seed: 4 } });
  assert.notDeepEqual(weightsOf(other.model), weightsOf(first.model));
});

test('a killed training goes on to the same weights, bit for bit', async () => {
  const folder = await newFolder();
  const child = spawn(process.execPath, [join(dirname(fileURLToPath(import.meta.url)), 'killed-child.js'), folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const chunk of child.stdout) {
    // In the middle of an epoch; it is at the next steps by the time that the signal comes.
    if (
      String(chunk)
        .split('\n')
        .some((line) => Number(line) >= 101)
    )
      break;
  }
  child.kill('SIGKILL');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  assert.equal(child.signalCode, 'SIGKILL');
  let first = 0;
  const resumed = await train(
    await longRequest(folder, { progress: { ...silent, update: (done) => (first ||= done > 96 ? done : 0) } }),
  );
  assert.ok(first >= 101 && first < STEPS, `it went on at step ${first}`);
  assert.deepEqual(weightsOf(resumed.model), weightsOf((await whole).model));
  assert.deepEqual(curveOf(resumed), curveOf(await whole));
});

test('the signal stops training within a step, and it goes on from there', async () => {
  const folder = await newFolder();
  const stop = new AbortController();
  let last = 0;
  const update = (done: number): void => {
    last = done;
    // Reading the items has numbers too, up to 96.
    if (done === 150) stop.abort();
  };
  const cut = train(await longRequest(folder, { signal: stop.signal, progress: { ...silent, update } }));
  await assert.rejects(cut, { kind: 'cancelled', message: /at step 150 of 192/ });
  assert.equal(last, 150);
  const resumed = await train(await longRequest(folder));
  assert.deepEqual(weightsOf(resumed.model), weightsOf((await whole).model));
});

test('a training that has come to its end is not run again', async () => {
  const folder = await newFolder();
  const first = await train(await longRequest(folder));
  const before = await readFile(join(folder, CHECKPOINT_FILE));
  const steps: number[] = [];
  const again = await train(
    await longRequest(folder, {
      plugins:
        (await longRequest(folder)).plugins?.map((plugin) => ({
          ...plugin,
          beforeUpdate: ({ step }) => void steps.push(step),
        })) ?? [],
    }),
  );
  assert.deepEqual(steps, []);
  assert.deepEqual(weightsOf(again.model), weightsOf(first.model));
  assert.deepEqual(await readFile(join(folder, CHECKPOINT_FILE)), before);
});

test('a checkpoint of other settings is refused', async () => {
  const folder = await newFolder();
  await train(await longRequest(folder));
  const request = await longRequest(folder);
  await assert.rejects(train({ ...request, settings: { ...request.settings, seed: 9 } }), {
    kind: 'refused',
    message: /another training: the settings differ/,
  });
});
