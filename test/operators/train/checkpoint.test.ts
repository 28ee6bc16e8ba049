import assert from 'node:assert/strict';
import { readdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type Checkpoint,
  readCheckpoint,
  removeUnfinished,
  writeCheckpoint,
} from '../../../operators/train/checkpoint.js';
import { newFolder } from './toy.js';

const KEY = { 'the model': 'a', 'the settings': 'b' };
const CHECKPOINT: Checkpoint = {
  key: KEY,
  state: { step: 3, loss: 0.1 + 0.2, name: 'ä' },
  arrays: new Map([
    ['w', Float32Array.of(1.5, -0, 3e-40)],
    ['empty', new Float32Array(0)],
  ]),
};

test('a checkpoint is read as it was written', async () => {
  const path = join(await newFolder(), 'deep', 'checkpoint.bin');
  assert.equal(await readCheckpoint(path, KEY), undefined);
  await writeCheckpoint(path, CHECKPOINT);
  await writeCheckpoint(path, CHECKPOINT);
  assert.deepEqual(await readCheckpoint(path, KEY), CHECKPOINT);
  assert.deepEqual(await readdir(join(path, '..')), ['checkpoint.bin']);
});

test('a checkpoint of another training is refused, with what differs', async () => {
  const path = join(await newFolder(), 'checkpoint.bin');
  await writeCheckpoint(path, CHECKPOINT);
  await assert.rejects(readCheckpoint(path, { ...KEY, 'the model': 'c' }), {
    kind: 'refused',
    message: /another training: the model differ/,
  });
});

test('a damaged checkpoint is refused', async () => {
  const path = join(await newFolder(), 'checkpoint.bin');
  await writeCheckpoint(path, CHECKPOINT);
  const whole = await readFile(path);
  for (const at of [0, 40, whole.byteLength - 1]) {
    const bytes = Buffer.from(whole);
    bytes.writeUInt8((bytes.readUInt8(at) + 1) % 256, at);
    await writeFile(path, bytes);
    await assert.rejects(readCheckpoint(path, KEY), { kind: 'invalid', message: /damaged/ }, `byte ${at}`);
  }
  await writeFile(path, whole.subarray(0, -5));
  await assert.rejects(readCheckpoint(path, KEY), { kind: 'invalid', message: /damaged/ });
});

test('what a killed process left half written is removed later, and what one is writing is not', async () => {
  const folder = await newFolder();
  await writeCheckpoint(join(folder, 'checkpoint.bin'), CHECKPOINT);
  for (const name of ['checkpoint.bin.1.part', 'curve.csv.1.part', 'checkpoint.bin.2.part']) {
    await writeFile(join(folder, name), 'half');
    const [secondsAgo, now] = [name.includes('.1.') ? 7200 : 5, Date.now() / 1000];
    await utimes(join(folder, name), now, now - secondsAgo);
  }
  await removeUnfinished(folder);
  assert.deepEqual((await readdir(folder)).sort(), ['checkpoint.bin', 'checkpoint.bin.2.part']);
  await removeUnfinished(join(folder, 'none'));
});

test('a full disk is an error that names the file, and the checkpoint before stays', async () => {
  const folder = await newFolder();
  const path = join(folder, 'checkpoint.bin');
  await writeCheckpoint(path, CHECKPOINT);
  // What is written beside goes to a device that is always full.
  await symlink('/dev/full', `${path}.${process.pid}.part`);
  await assert.rejects(writeCheckpoint(path, { ...CHECKPOINT, state: 'later' }), (error: Error) => {
    assert.equal((error as Error & { kind: string }).kind, 'exhausted');
    assert.ok(error.message.includes(path), error.message);
    return true;
  });
  assert.deepEqual(await readCheckpoint(path, KEY), CHECKPOINT);
  assert.deepEqual(await readdir(folder), ['checkpoint.bin']);
});
