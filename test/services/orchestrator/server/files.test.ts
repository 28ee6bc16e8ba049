import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Harness, sha256 } from './harness.js';

/** Every file below a folder. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    statSync(join(folder, name)).isFile(),
  );
}

test('a file is stored under its content, and asked for only when it is missing', async (t) => {
  const harness = await Harness.start(t);
  const content = Buffer.from('hello\0world');
  const hash = sha256(content);
  const other = 'f'.repeat(64);
  const asked = await harness.call('POST', '/v1/files/missing', { sha256: [hash, other, hash] });
  assert.deepEqual(asked.body, { missing: [hash, other] });
  const put = await harness.call('PUT', `/v1/files/${hash}`, new Uint8Array(content));
  assert.deepEqual([put.status, put.body], [201, { sha256: hash, bytes: content.length }]);
  assert.deepEqual((await harness.call('POST', '/v1/files/missing', { sha256: [hash, other] })).body, {
    missing: [other],
  });
  assert.equal(
    (await harness.call('PUT', `/v1/files/${hash}`, new Uint8Array(content))).status,
    201,
    'once more is fine',
  );
  const empty = sha256('');
  assert.equal((await harness.call('PUT', `/v1/files/${empty}`, new Uint8Array())).status, 201);
  assert.deepEqual(
    filesBelow(join(harness.stateFolder, 'files')).sort(),
    [`${hash.slice(0, 2)}/${hash}`, `${empty.slice(0, 2)}/${empty}`].sort(),
  );
});

test('what is not what it says, or too long, or broken off, leaves nothing', async (t) => {
  const harness = await Harness.start(t, { maxFileBytes: 1000 });
  const wrong = await harness.call('PUT', `/v1/files/${sha256('a')}`, 'b');
  assert.equal(wrong.status, 400);
  assert.match(wrong.body.error.message, new RegExp(`has the sha256 ${sha256('b')}`));

  const long = 'x'.repeat(1001);
  const announced = await harness.call('PUT', `/v1/files/${sha256(long)}`, long);
  assert.deepEqual([announced.status, announced.body.error.kind], [413, 'exhausted']);

  const { hostname, port } = new URL(harness.server.url);
  const head = `PUT /v1/files/${sha256(long)} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${harness.token}\r\nContent-Type: application/octet-stream\r\n`;
  const chunked = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n${(1001).toString(16)}\r\n${long}\r\n0\r\n\r\n`);
    });
    socket.on('error', reject).once('data', (data) => {
      socket.destroy();
      resolve(String(data));
    });
  });
  assert.match(chunked, /^HTTP\/1\.1 413 /);

  await new Promise<void>((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write(`${head}Content-Length: 900\r\n\r\nhalf`, () => {
        socket.destroy();
        resolve();
      });
    });
    socket.on('error', reject);
  });
  for (let i = 0; i < 100 && filesBelow(join(harness.stateFolder, 'files')).length > 0; i++) await delay(50);
  assert.deepEqual(filesBelow(join(harness.stateFolder, 'files')), []);
});
