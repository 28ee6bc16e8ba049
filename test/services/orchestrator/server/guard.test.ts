import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { allowedHosts, checkCaller, checkToken, hostOf } from '../../../../services/orchestrator/server/guard.js';
import { Harness } from './harness.js';

test('a Host header is a name or an address, with a port or without', () => {
  assert.equal(hostOf('LocalHost:7070'), 'localhost');
  assert.equal(hostOf('localhost.'), 'localhost');
  assert.equal(hostOf('[::1]:7070'), '::1');
  assert.equal(hostOf('10.1.2.3'), '10.1.2.3');
  for (const wrong of [undefined, '', 'a b', 'localhost:x', 'http://localhost', 'localhost/..', '@localhost', '[::1']) {
    assert.equal(hostOf(wrong), undefined, String(wrong));
  }
});

test('a caller names the service by a name of its own or by an address of this machine', () => {
  const names = allowedHosts(['Box.example']);
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const good = ['127.0.0.1:1', 'localhost', '127.9.9.9', '[::1]', 'orchestrator:7070', 'box.EXAMPLE'];
  for (const host of [...good, ...own.filter((a) => a.family === 'IPv4').map((a) => a.address)]) {
    checkCaller({ host }, names);
  }
  for (const host of [
    undefined,
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '8.8.8.8',
    '0x7f.1',
  ]) {
    assert.throws(() => checkCaller({ host }, names), { kind: 'refused', status: 403 }, String(host));
  }
});

test('a page of another origin is refused, the service itself is not', () => {
  const names = allowedHosts([]);
  checkCaller({ host: 'localhost:7070', origin: 'http://localhost:7070' }, names);
  for (const origin of [
    'http://evil.example',
    'null',
    '',
    'http://localhost:3000',
    'https://localhost:7070',
    'http://127.0.0.1:7070',
  ]) {
    assert.throws(() => checkCaller({ host: 'localhost:7070', origin }, names), { status: 403 }, origin);
  }
});

test('only the whole token fits', () => {
  checkToken('Bearer secret', 'secret');
  checkToken('bearer secret', 'secret');
  for (const wrong of [
    undefined,
    '',
    'secret',
    'Bearer ',
    'Bearer secre',
    'Bearer secret2',
    'Basic secret',
    'Bearer x secret',
  ]) {
    assert.throws(() => checkToken(wrong, 'secret'), { kind: 'refused', status: 401 }, String(wrong));
  }
  assert.throws(() => checkToken('Bearer ', ''), { status: 401 });
});

/** A request with headers that fetch would not send. */
function raw(url: string, path: string, headers: Record<string, string>, method = 'GET'): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request(`${url}${path}`, { method, headers }, (response) => {
      response.destroy();
      resolve(response.statusCode);
    });
    sent.on('error', reject);
    sent.end();
  });
}

test('the service keeps strangers and web pages out of every route, events among them', async (t) => {
  const { server, token, document } = await Harness.start(t, { allowHosts: ['lab.example'] });
  const good = { authorization: `Bearer ${token}` };
  const open = ['/healthz', '/readyz', '/metrics', '/openapi.json'];
  for (const [template, methods] of Object.entries<Record<string, object>>(document.paths)) {
    const path = template.replaceAll(/\{\w+\}/g, 'x');
    for (const method of Object.keys(methods)) {
      const name = `${method} ${template}`;
      const status = (headers: Record<string, string>) => raw(server.url, path, headers, method.toUpperCase());
      assert.equal(await status({}), open.includes(template) ? 200 : 401, name);
      assert.equal(await status({ ...good, host: 'evil.example' }), 403, name);
      assert.equal(await status({ ...good, origin: 'http://evil.example' }), 403, name);
      assert.equal(await status({ authorization: 'Bearer wrong' }), open.includes(template) ? 200 : 401, name);
    }
  }
  assert.equal(await raw(server.url, '/v1/status', { ...good, host: 'lab.example' }), 200);
  assert.equal(await raw(server.url, '/nowhere', {}), 401);
  assert.equal(await raw(server.url, '/nowhere', good), 404);
  const answer = await fetch(`${server.url}/healthz`);
  for (const name of answer.headers.keys()) assert.ok(!name.startsWith('access-control'), name);
  // What a form of a page can send without asking first is not taken.
  const form = await fetch(`${server.url}/v1/studies`, {
    method: 'POST',
    headers: { ...good, 'content-type': 'text/plain' },
    body: '{}',
  });
  assert.equal(form.status, 415);
});

test('the token is made once, of 32 random bytes, for its owner alone', async (t) => {
  const first = await Harness.start(t);
  assert.equal(Buffer.from(first.token, 'base64url').length, 32);
  assert.equal(first.server.token.fresh, true);
  assert.equal(statSync(join(first.stateFolder, 'token')).mode & 0o777, 0o600);
  await assert.rejects(Harness.start(t, { stateFolder: first.stateFolder }), { kind: 'refused', message: /in use/ });
  await first.server.close();
  const second = await Harness.start(t, { stateFolder: first.stateFolder });
  assert.equal(second.token, first.token);
  assert.equal(second.server.token.fresh, false);
  await second.server.close();
  writeFileSync(join(first.stateFolder, 'token'), '\n');
  await assert.rejects(Harness.start(t, { stateFolder: first.stateFolder }), {
    kind: 'invalid',
    message: /holds no token/,
  });
});
