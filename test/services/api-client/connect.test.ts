import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { version } from '../../../base/paths.js';
import { ApiClient } from '../../../services/api-client/client.js';
import { composeEnv } from '../../../services/api-client/compose-env.js';
import { apiUrl, connectApi } from '../../../services/api-client/connect.js';

async function answering(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Sets variables of the environment for one test. */
function environment(t: TestContext, values: Record<string, string | undefined>): void {
  const before = { ...process.env };
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  t.after(() => {
    for (const name of Object.keys(values)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  });
}

test('the address is what is given, then the environment, then Compose, then this machine', (t) => {
  const none = () => ({});
  assert.equal(apiUrl({}, {}, none), 'http://127.0.0.1:7070');
  const folder = mkdtempSync(join(tmpdir(), 'tierbed-env-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  assert.deepEqual(composeEnv(folder), {}, 'without the file');
  writeFileSync(join(folder, '.env'), '# mine\nTIERBED_API_PORT="7272"\n');
  const ofCompose = () => composeEnv(folder);
  assert.equal(apiUrl({}, {}, ofCompose), 'http://127.0.0.1:7272');
  assert.equal(apiUrl({}, { TIERBED_API_PORT: '7171' }, ofCompose), 'http://127.0.0.1:7171');
  assert.equal(apiUrl({}, { TIERBED_API_PORT: '7171' }), 'http://127.0.0.1:7171');
  assert.equal(apiUrl({}, { TIERBED_API: 'http://lab:1/', TIERBED_API_PORT: '7171' }), 'http://lab:1');
  assert.equal(apiUrl({ api: 'https://x.example' }, { TIERBED_API: 'http://lab:1' }), 'https://x.example');
  for (const wrong of ['lab', 'ftp://x', 'http://x/v1', 'http://user:pass@x', '']) {
    assert.throws(() => apiUrl({ api: wrong }, {}), { kind: 'usage' }, wrong);
  }
});

test('nobody there, somebody else there, another version there: each says so, with the fix', async (t) => {
  environment(t, { TIERBED_STATE: '/nonexistent', TIERBED_TOKEN: undefined, PATH: '/nonexistent' });
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  await assert.rejects(connectApi({ api: `http://127.0.0.1:${port}` }), {
    kind: 'unavailable',
    message: /nothing listens there/,
    fix: /tierbed up.*tierbed serve/,
  });
  const other = await answering(t, (_, response) => response.end('hello'));
  await assert.rejects(connectApi({ api: other }), { kind: 'refused', message: /is not Tierbed's orchestrator/ });
  const newer = await answering(t, (_, response) => response.writeHead(200, { 'tierbed-version': '99.0.0' }).end('{}'));
  await assert.rejects(connectApi({ api: newer }), {
    kind: 'refused',
    message: new RegExp(`version 99\\.0\\.0, this command of ${version.replaceAll('.', '\\.')}`),
    fix: /tierbed up --build/,
  });
});

test('the token is what is given, else one of this machine that fits; another machine is not shown it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tierbed-token-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'token'), 'of-serve\n');
  writeFileSync(join(folder, 'docker'), '#!/bin/sh\necho of-docker\n', { mode: 0o755 });
  environment(t, { TIERBED_STATE: folder, TIERBED_TOKEN: undefined, PATH: `${folder}:${process.env.PATH}` });
  const seen: string[] = [];
  const url = await answering(t, (request, response) => {
    const token = request.headers.authorization?.replace('Bearer ', '') ?? '';
    seen.push(token);
    response.setHeader('tierbed-version', version);
    if (token === 'of-docker') response.end('{}');
    else
      response
        .writeHead(401)
        .end(JSON.stringify({ error: { kind: 'refused', message: 'the token is wrong', fix: null } }));
  });
  await connectApi({ api: url });
  assert.deepEqual(seen.splice(0), ['of-serve', 'of-docker']);
  await assert.rejects(connectApi({ api: url, token: 'mine' }), {
    kind: 'refused',
    message: /the token is wrong/,
    fix: /--token/,
  });
  assert.deepEqual(seen.splice(0), ['mine'], 'a token that was given is not replaced');
  await assert.rejects(connectApi({ api: url.replace('127.0.0.1', '127.0.0.2') }), { kind: 'unavailable' });
  assert.deepEqual(seen, []);
});

test('what the orchestrator answers is the error', async (t) => {
  const url = await answering(t, (request, response) => {
    response.setHeader('tierbed-version', version);
    if (request.url === '/v1/links') response.writeHead(500).end('no JSON');
    else response.writeHead(409).end(JSON.stringify({ error: { kind: 'refused', message: 'not now', fix: 'Wait.' } }));
  });
  const client = new ApiClient(url, 'x');
  await assert.rejects(client.status(), { kind: 'refused', message: 'not now', fix: 'Wait.' });
  await assert.rejects(client.links(), { kind: 'internal', message: /answered 500: no JSON/ });
});
