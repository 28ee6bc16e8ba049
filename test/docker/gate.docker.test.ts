import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { ComposeTestbed } from '../support/compose-testbed.js';
import { openTestbed } from '../support/shared-testbed.js';

let testbed: ComposeTestbed;
before(async () => {
  testbed = await openTestbed();
});

interface Attempt {
  readonly method: string;
  readonly path: string;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Sends requests to the gate from the orchestrator's container, which alone can reach it. */
async function ask(attempts: readonly Attempt[]): Promise<Answer[]> {
  const script = `
const { request } = require('node:http');
const ask = ({ method, path, body, headers }) => new Promise((resolve) => {
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const call = request({ host: 'gate', port: 7071, method, path, headers: { ...(sent && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(sent) }), ...headers } }, (answer) => {
    let text = '';
    answer.setEncoding('utf8').on('data', (piece) => { text += piece; }).on('end', () => resolve({ status: answer.statusCode, body: text }));
  });
  call.on('upgrade', (_, socket) => { socket.destroy(); resolve({ status: 101, body: '' }); });
  call.on('error', (error) => resolve({ status: 0, body: error.message }));
  call.end(sent);
});
(async () => {
  const answers = [];
  for (const attempt of JSON.parse(process.argv[1])) answers.push(await ask(attempt));
  console.log(JSON.stringify(answers));
})();`;
  const said = await testbed.compose('exec', '-T', 'orchestrator', 'node', '-e', script, JSON.stringify(attempts));
  return JSON.parse(said) as Answer[];
}

test('what the testbed needs is let through', async () => {
  const [version, list, inspect] = await ask([
    { method: 'GET', path: '/version' },
    { method: 'GET', path: '/v1.41/containers/json?all=true' },
    { method: 'GET', path: '/containers/edge/json' },
  ]);
  assert.deepEqual([version?.status, list?.status, inspect?.status], [200, 200, 200]);
  const services = (JSON.parse(list?.body ?? '[]') as { Labels: Record<string, string> }[]).map(
    ({ Labels }) => Labels['com.docker.compose.service'],
  );
  assert.ok(services.includes('edge') && services.includes('mobile-link'), `${services}`);
});

test('ways to the host are refused, whatever they look like, and logged', async (t) => {
  const { stdout } = await testbed.exec('docker', [
    ...['run', '--detach', '--rm', '--network', 'none', '--entrypoint', 'sleep'],
    ...[testbed.env.TIERBED_IMAGE as string, '120'],
  ]);
  const stranger = stdout.trim();
  t.after(() => testbed.exec('docker', ['rm', '--force', stranger]));
  const edge = await testbed.container('edge');
  const gate = await testbed.container('gate');
  const host = { Image: 'tierbed-test', HostConfig: { Privileged: true, Binds: ['/:/host'] } };
  const before = (await testbed.exec('docker', ['ps', '--all', '--quiet', '--no-trunc'])).stdout;
  const attempts: Attempt[] = [
    { method: 'POST', path: '/containers/create', body: host },
    { method: 'POST', path: '/v1.41/containers/create?name=mine', body: host },
    { method: 'POST', path: `/containers/${edge}/exec`, body: { Cmd: ['id'], Privileged: true, User: 'root' } },
    { method: 'GET', path: `/containers/${edge}/archive?path=/` },
    { method: 'PUT', path: `/containers/${edge}/archive?path=/` },
    { method: 'GET', path: `/containers/${edge}/export` },
    { method: 'POST', path: `/containers/${edge}/attach?stream=1`, headers: { connection: 'Upgrade', upgrade: 'tcp' } },
    { method: 'POST', path: `/containers/${edge}/update`, body: { Devices: [{ PathOnHost: '/dev/sda' }] } },
    { method: 'DELETE', path: `/containers/${edge}?force=true` },
    { method: 'GET', path: `/containers/${stranger}/json` },
    { method: 'POST', path: `/containers/${stranger}/kill` },
    { method: 'POST', path: `/containers/${stranger.slice(0, 12)}/pause` },
    { method: 'POST', path: `/containers/${gate}/kill` },
    { method: 'GET', path: '/containers/edge/../../images/json' },
    { method: 'GET', path: '/containers/edge/%2e%2e/json' },
    { method: 'GET', path: '//containers/json' },
    { method: 'GET', path: '/containers/json?filters=%7B%22label%22%3A%5B%22x%22%5D%7D' },
    { method: 'GET', path: '/images/json' },
    { method: 'GET', path: '/volumes' },
    { method: 'POST', path: '/volumes/create', body: { Name: 'mine' } },
    { method: 'POST', path: '/networks/create', body: { Name: 'mine' } },
    { method: 'POST', path: '/build' },
    { method: 'POST', path: '/images/create?fromImage=debian' },
    { method: 'GET', path: '/events' },
    { method: 'POST', path: '/session', headers: { connection: 'Upgrade', upgrade: 'h2c' } },
    { method: 'POST', path: '/swarm/init' },
    { method: 'GET', path: '/containers/edge/json', headers: { host: 'tierbed.example' } },
    { method: 'GET', path: '/containers/edge/json', headers: { 'x-http-method-override': 'DELETE' } },
  ];
  const answers = await ask(attempts);
  for (const [i, { method, path }] of attempts.entries()) {
    const { status, body } = answers[i] as Answer;
    assert.ok(status === 403 || status === 400, `${method} ${path}: ${status} ${body}`);
  }
  const log = await testbed.compose('logs', '--no-log-prefix', 'gate');
  for (const logged of ['/containers/create', `/containers/${edge}/exec`, `/containers/${stranger}/kill`]) {
    assert.ok(log.includes(logged), `${logged} is in the log`);
  }
  assert.equal((await testbed.exec('docker', ['ps', '--all', '--quiet', '--no-trunc'])).stdout, before);
});
