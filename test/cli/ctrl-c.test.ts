import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { version } from '../../base/paths.js';
import { type FakeAnswer, fakeDocker, published, UP, untilCalled } from './fake-docker.js';
import type { Started } from './serve.js';

const work = mkdtempSync(join(tmpdir(), 'tierbed-ctrl-c-'));
after(() => rmSync(work, { recursive: true, force: true }));

/** What hangs would do so for minutes: long before that the test has failed. */
const timeout = 120_000;
const NEVER: FakeAnswer = { seconds: 300 };

const STATUS = {
  ...{ version, runtime: 'docker', startedAt: new Date().toISOString(), queued: 0, testbed: 'study' },
  study: { id: 's1', name: 'tiny', state: 'running', position: null, step: null, samples: null },
};

interface FakeApi {
  readonly port: number;
  /** Resolves when it is asked what it does not answer... */
  readonly asked: Promise<void>;
  /** ...and when nobody waits for that any more. */
  readonly givenUp: Promise<void>;
}

/** An orchestrator with a study that runs, which never answers what `hangs` names. */
async function api(t: TestContext, hangs: string): Promise<FakeApi> {
  const events = new EventEmitter();
  const [asked, givenUp] = ['asked', 'givenUp'].map((event) => once(events, event).then(() => {}));
  const server = createServer((request, response) => {
    if (`${request.method} ${request.url}` === hangs) {
      response.on('close', () => events.emit('givenUp'));
      events.emit('asked');
      return;
    }
    const body = request.url === '/v1/status' ? STATUS : { tiers: [] };
    response.setHeader('tierbed-version', version).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as AddressInfo).port, asked, givenUp } as FakeApi;
}

async function assertStops(command: Started, what: string): Promise<void> {
  command.child.kill('SIGINT');
  const { code, signal, stdout, stderr } = await command.ended;
  assert.deepEqual([code, signal, stdout], [130, null, ''], `${what}: ${stderr}`);
  assert.match(stderr, /tierbed: stopped/, what);
}

test('Ctrl-C while Docker is asked ends Docker and the command', { timeout }, async (t) => {
  const { port } = await api(t, '');
  const cases: [readonly string[], string, RegExp][] = [
    [['down'], 'compose down', / down /],
    [['down'], 'compose ps', / ps /],
    [['status'], 'version', /^version/],
    [['status'], 'compose config', / config /],
  ];
  for (const [args, hangs, call] of cases) {
    const docker = fakeDocker(
      work,
      { 'compose ps': { stdout: UP }, 'compose config': published(port), [hangs]: NEVER },
      { TIERBED_TOKEN: 'x' },
    );
    const command = docker.start(...args);
    await untilCalled(docker, call);
    await assertStops(command, `${args.join(' ')} in ${hangs}`);
    assert.equal(docker.calls().at(-1), 'SIGINT', 'Docker was asked to end, and nothing else of it');
  }
});

test('Ctrl-C while the token of the testbed is looked for ends that and the command', { timeout }, async (t) => {
  const { port } = await api(t, '');
  for (const args of [['status'], ['down'], ['link', 'verify', '--api', `http://127.0.0.1:${port}`]]) {
    const answers = { 'compose ps': { stdout: UP }, 'compose config': published(port), 'compose exec': NEVER };
    const docker = fakeDocker(work, answers);
    const command = docker.start(...args);
    await untilCalled(docker, / exec /);
    await assertStops(command, args.join(' '));
  }
});

test('Ctrl-C while the orchestrator does not answer ends the command and the call', { timeout }, async (t) => {
  const cases: [readonly string[], string][] = [
    [['down'], 'GET /v1/status'],
    [['down'], 'POST /v1/studies/s1/stop'],
    [['status'], 'GET /v1/status'],
    [['status'], 'GET /v1/links'],
    [['status'], 'GET /v1/tiers'],
    [['link', 'verify'], 'GET /v1/status'],
    [['link', 'verify'], 'POST /v1/links/verify'],
  ];
  for (const [args, hangs] of cases) {
    const { port, asked, givenUp } = await api(t, hangs);
    const docker = fakeDocker(
      work,
      { 'compose ps': { stdout: UP }, 'compose config': published(port) },
      { TIERBED_TOKEN: 'x', TIERBED_API_PORT: String(port) },
    );
    const command = docker.start(...args);
    const early = command.ended.then(({ stderr }) => `it ended before ${hangs}: ${stderr}`);
    assert.equal(await Promise.race([asked, early]), undefined);
    await assertStops(command, `${args.join(' ')} in ${hangs}`);
    await givenUp;
    assert.ok(!docker.calls().some((call) => / down /.test(call)), 'what was not asked any more is not done');
  }
});
