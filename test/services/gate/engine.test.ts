import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { TierbedError } from '../../../base/errors.js';
import { openEngine } from '../../../services/gate/engine.js';

const SELF = 'ab'.repeat(6);

test('without an engine, and outside Compose, the gate says so and what to do', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-engine-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const socketPath = join(folder, 'docker.sock');
  const failure = async (self: string): Promise<TierbedError> => {
    const error = await openEngine({ socketPath, self }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof TierbedError && error.fix);
    return error;
  };
  const absent = await failure(SELF);
  assert.equal(absent.kind, 'unavailable');
  assert.ok(absent.message.includes(socketPath));

  let labels: unknown = {};
  let status = 200;
  const engine = createServer((_, response) => {
    response
      .writeHead(status, { 'content-type': 'application/json' })
      .end(JSON.stringify({ Config: { Labels: labels } }));
  }).listen(socketPath);
  t.after(() => {
    engine.close();
    engine.closeAllConnections();
  });
  await new Promise((resolve) => engine.once('listening', resolve));
  assert.match((await failure('my-laptop')).message, /my-laptop, is not a container's/);
  assert.match((await failure(SELF)).message, /no label of a Compose project/);
  labels = null;
  assert.match((await failure(SELF)).message, /no label of a Compose project/);
  status = 404;
  const unknown = await failure(SELF);
  assert.equal(unknown.kind, 'refused');
  assert.match(unknown.message, /no container abab/);
});
