import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TierbedError } from '../../base/errors.js';
import { initializerBytes } from '../../onnx/initializer.js';
import type { Initializer } from '../../onnx/model.js';
import { decodeModel, readModel } from '../../onnx/read.js';
import { encodeWire, type WireModel } from '../../onnx/schema.js';

const root = mkdtempSync(join(tmpdir(), 'tierbed-external-'));
after(() => rmSync(root, { recursive: true }));
const dir = join(root, 'model');
mkdirSync(join(dir, 'weights'), { recursive: true });
const path = join(dir, 'm.onnx');
writeFileSync(join(root, 'secret.bin'), Buffer.alloc(64, 9));
writeFileSync(join(dir, 'ok.bin'), Buffer.from([0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]));

/** A model with one weight of two float32 elements in an external file. */
function reference(fields: Record<string, string>, dims = [2]): WireModel {
  const externalData = Object.entries(fields).map(([key, value]) => ({ key, value }));
  return {
    irVersion: 8,
    opsetImport: [{ domain: '', version: 17 }],
    graph: {
      initializer: [{ name: 'w', dims, dataType: 1, dataLocation: 1, externalData }],
      output: [{ name: 'w' }],
    },
  };
}

function read(fields: Record<string, string>, dims?: number[]): Promise<Initializer> {
  writeFileSync(path, encodeWire(reference(fields, dims)));
  return readModel(path).then((model) => model.graph.initializers[0] as Initializer);
}

test('a weight in an external file is located when the model is read, and its bytes when they are asked for', async () => {
  const weight = await read({ location: 'ok.bin', offset: '4', length: '8' });
  assert.equal(weight.data.kind, 'external');
  assert.deepEqual([...initializerBytes(weight)], [1, 2, 3, 4, 5, 6, 7, 8]);
  writeFileSync(join(dir, 'weights', 'deep.bin'), Buffer.alloc(8, 3));
  assert.deepEqual([...initializerBytes(await read({ location: 'weights/deep.bin' }))], Array(8).fill(3));
});

test('a link inside the folder is followed', async () => {
  symlinkSync(join(dir, 'ok.bin'), join(dir, 'inside.bin'));
  assert.equal(initializerBytes(await read({ location: 'inside.bin', offset: '4' })).byteLength, 8);
});

test('a location that leaves the folder is refused, however it is written', async () => {
  symlinkSync(join(root, 'secret.bin'), join(dir, 'link.bin'));
  symlinkSync(root, join(dir, 'up'));
  for (const location of [
    join(root, 'secret.bin'),
    '/etc/hostname',
    '../secret.bin',
    'weights/../../secret.bin',
    '..\\secret.bin',
    'C:\\secret.bin',
    'link.bin',
    'up/secret.bin',
    '',
    'weights',
    '.',
    'ok.bin\0',
  ]) {
    await assert.rejects(read({ location }), (error) => {
      assert.ok(error instanceof TierbedError, location);
      assert.equal(error.kind, 'refused', location);
      assert.match(error.message, /m\.onnx: tensor w/);
      assert.match(error.fix ?? '', /folder of the model/);
      return true;
    });
  }
});

test('a pipe is refused and not waited for', async () => {
  execFileSync('mkfifo', [join(dir, 'pipe')]);
  await assert.rejects(read({ location: 'pipe' }), { kind: 'refused', message: /not a regular file/ });
});

test('data that is not there, too short or of another size is named', async () => {
  await assert.rejects(read({ location: 'gone.bin' }), {
    kind: 'missing',
    message: /tensor w: external data file .*gone\.bin/,
  });
  await assert.rejects(read({ location: 'ok.bin', offset: '8' }), {
    kind: 'invalid',
    message: /ends at byte 16 of ok\.bin, which has 12/,
  });
  await assert.rejects(read({ location: 'ok.bin', length: '4' }), {
    kind: 'invalid',
    message: /has 4 bytes, the tensor takes 8/,
  });
  await assert.rejects(read({ location: 'ok.bin', offset: '-1' }), { kind: 'invalid', message: /offset -1/ });
  await assert.rejects(read({ location: 'ok.bin', offset: 'x' }), { kind: 'invalid', message: /offset NaN/ });
  await assert.rejects(read({ location: 'ok.bin' }, [2 ** 40]), { kind: 'invalid', message: /ends at byte/ });
});

test('external data needs a folder', () => {
  assert.throws(() => decodeModel(encodeWire(reference({ location: 'ok.bin' }))), {
    kind: 'invalid',
    message: /without its folder/,
  });
});

test('data that became shorter after the model was read is an error, not zeros', async () => {
  writeFileSync(join(dir, 'shrinks.bin'), Buffer.alloc(8));
  const weight = await read({ location: 'shrinks.bin' });
  truncateSync(join(dir, 'shrinks.bin'), 4);
  assert.throws(() => initializerBytes(weight), { kind: 'missing', message: /ends before byte 8/ });
  rmSync(join(dir, 'shrinks.bin'));
  assert.throws(() => initializerBytes(weight), { kind: 'missing', message: /shrinks\.bin/ });
});

test('weights over 2 GiB are opened without being read', async () => {
  writeFileSync(join(dir, 'huge.bin'), '');
  truncateSync(join(dir, 'huge.bin'), 3 * 2 ** 30);
  const before = process.memoryUsage().external;
  const weight = await read({ location: 'huge.bin' }, [3 * 2 ** 28]);
  assert.equal(weight.data.kind === 'external' && weight.data.length, 3 * 2 ** 30);
  assert.ok(process.memoryUsage().external - before < 2 ** 20);
});
