import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { TierbedError } from '../../../base/errors.js';
import { Store } from '../../../services/node/store.js';
import { sha256, temporaryFolder } from './harness.js';

const content = new TextEncoder().encode('some model');
const hash = sha256(content);

async function* chunks(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

async function leftovers(dir: string): Promise<string[]> {
  return [...(await readdir(join(dir, 'incoming'))), ...(await readdir(join(dir, 'files')))];
}

test('takes a file in chunks once, and gives it back', async (t) => {
  const store = await Store.open(await temporaryFolder(t));
  assert.deepEqual(await store.missing([hash]), [hash]);
  assert.equal(await store.put(hash, content.length, chunks(content.subarray(0, 3), content.subarray(3))), true);
  assert.deepEqual(await store.missing([hash]), []);
  assert.deepEqual(new Uint8Array(await store.read(hash)), content);
  assert.equal(await store.put(hash, content.length, chunks(content)), false);
});

test('an empty file is a file', async (t) => {
  const store = await Store.open(await temporaryFolder(t));
  assert.equal(await store.put(sha256(new Uint8Array()), 0, chunks(new Uint8Array())), true);
});

test('a wrong hash, a wrong length and a hash that is none are refused and leave nothing', async (t) => {
  const dir = await temporaryFolder(t);
  const store = await Store.open(dir);
  const invalid = (pattern: RegExp) => (error: unknown) =>
    error instanceof TierbedError && error.kind === 'invalid' && pattern.test(error.message);
  const other = new Uint8Array(content).fill(7);
  await assert.rejects(store.put(hash, content.length, chunks(other)), invalid(/whose sha256 is/));
  await assert.rejects(store.put(hash, content.length + 1, chunks(content)), invalid(/11 bytes and came with 10/));
  await assert.rejects(store.put(hash, 3, chunks(content)), invalid(/announced with 3/));
  await assert.rejects(store.put('../../etc/x', 1, chunks(content)), invalid(/not a sha256/));
  assert.deepEqual(await leftovers(dir), []);
});

test('a full disk is told as such, leaves nothing, and the store goes on', async (t) => {
  const dir = await temporaryFolder(t);
  let full = true;
  const store = await Store.open(dir, async (file, chunk) => {
    if (full) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    await file.writeFile(chunk);
  });
  await assert.rejects(store.put(hash, content.length, chunks(content)), { kind: 'exhausted', message: /disk.*full/ });
  assert.deepEqual(await leftovers(dir), []);
  full = false;
  assert.equal(await store.put(hash, content.length, chunks(content)), true);
});

test('a sender that goes away in the middle leaves nothing', async (t) => {
  const dir = await temporaryFolder(t);
  const store = await Store.open(dir);
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield content.subarray(0, 3);
    throw new TierbedError('cancelled', 'gone');
  }
  await assert.rejects(store.put(hash, content.length, broken()), { kind: 'cancelled' });
  assert.deepEqual(await leftovers(dir), []);
});

test("lays out a model's files beside each other, once", async (t) => {
  const store = await Store.open(await temporaryFolder(t));
  const data = new Uint8Array([1, 2, 3]);
  await store.put(hash, content.length, chunks(content));
  await store.put(sha256(data), 3, chunks(data));
  const files = [
    { path: 'm.onnx', sha256: hash },
    { path: 'weights/w.bin', sha256: sha256(data) },
  ];
  const path = await store.materialise(files);
  assert.deepEqual(new Uint8Array(await readFile(path)), content);
  assert.deepEqual(new Uint8Array(await readFile(join(dirname(path), 'weights/w.bin'))), data);
  assert.equal((await stat(path)).nlink, 2, 'a link, not a copy');
  assert.equal(await store.materialise(files), path);
  assert.equal((await Promise.all([1, 2, 3].map(() => store.materialise([files[0] as never])))).length, 3);
});

test('paths that leave the folder, meet each other or name no file are refused', async (t) => {
  const store = await Store.open(await temporaryFolder(t));
  await store.put(hash, content.length, chunks(content));
  for (const path of ['../m.onnx', 'a/../../m.onnx', '/etc/m.onnx', '..\\m.onnx', '', '.', 'a/', 'a\0b']) {
    await assert.rejects(store.materialise([{ path, sha256: hash }]), { kind: 'invalid' }, JSON.stringify(path));
  }
  const twice = [
    { path: 'a.onnx', sha256: hash },
    { path: './a.onnx', sha256: hash },
  ];
  await assert.rejects(store.materialise(twice), { kind: 'invalid' });
  await assert.rejects(store.materialise([{ path: 'm.onnx', sha256: '0'.repeat(64) }]), { kind: 'missing' });
  await assert.rejects(store.read('0'.repeat(64)), { kind: 'missing' });
});

test('a folder that cannot be made is refused', async (t) => {
  const file = join(await temporaryFolder(t), 'file');
  await writeFile(file, '');
  await assert.rejects(Store.open(join(file, 'store')), { kind: 'refused' });
});
