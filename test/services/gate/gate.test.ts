import assert from 'node:assert/strict';
import { test } from 'node:test';
import Docker from 'dockerode';
import { EDGE, GATE, GRAFANA, MOBILE, ONE_OFF, SECRET, STRANGER, type TestGate, testGate } from './fake-engine.js';

test('dockerode does through the gate what the testbed needs, and no more reaches the socket than the gate wrote', async (t) => {
  const gate = await testGate(t);
  const docker = new Docker({ protocol: 'http', host: '127.0.0.1', port: gate.port });
  const edge = docker.getContainer(EDGE);
  await docker.ping();
  assert.deepEqual(await docker.info(), { NCPU: 2, MemTotal: 8 * 2 ** 30 });
  assert.deepEqual(await docker.version(), { Version: '20.10.24', ApiVersion: '1.41' });
  const list = await docker.listContainers({ all: true });
  assert.deepEqual(
    list.map(({ Labels }) => Labels['com.docker.compose.service']),
    ['mobile', 'edge', 'gate', 'grafana'],
  );
  const { Config, HostConfig } = await edge.inspect();
  assert.equal(HostConfig.CpuQuota, 2500);
  assert.equal(Config.Image, 'tierbed');
  const stats = await edge.stats({ stream: false });
  assert.equal(stats.cpu_stats.cpu_usage.total_usage, 5);
  await edge.stats({ stream: false, 'one-shot': true });
  await edge.update({ CpuPeriod: 5000, CpuQuota: 2500, Memory: 2 ** 28, MemorySwap: 2 ** 28 });
  await edge.pause();
  await edge.unpause();
  await edge.restart({ t: 2 });
  await edge.kill({ signal: 'SIGKILL' });
  await edge.kill();
  await edge.start();
  await docker.getContainer('edge').start();
  await docker.getContainer(EDGE.slice(0, 12)).start();
  const arrived = gate.arrived();
  assert.deepEqual(
    arrived.map(({ method, url, body }) => `${method} ${url} ${body}`.trim()),
    [
      'GET /_ping',
      'GET /version',
      `GET /containers/${EDGE}/json`,
      `GET /containers/${EDGE}/stats?stream=false`,
      `GET /containers/${EDGE}/stats?stream=false&one-shot=true`,
      `POST /containers/${EDGE}/update {"CpuPeriod":5000,"CpuQuota":2500,"Memory":268435456,"MemorySwap":268435456}`,
      `POST /containers/${EDGE}/pause`,
      `POST /containers/${EDGE}/unpause`,
      `POST /containers/${EDGE}/restart?t=2 {"t":2}`,
      `POST /containers/${EDGE}/kill?signal=SIGKILL {"signal":"SIGKILL"}`,
      `POST /containers/${EDGE}/kill?signal=SIGKILL {"signal":"SIGKILL"}`,
      `POST /containers/${EDGE}/start`,
      `POST /containers/${EDGE}/start`,
      `POST /containers/${EDGE}/start`,
    ],
  );
  assert.deepEqual(
    gate.logged().filter(({ refused }) => refused),
    [],
  );
});

test('answers hold no environment, no paths and nothing else that the orchestrator does not need', async (t) => {
  const gate = await testGate(t);
  const own = encodeURIComponent('{"label":["com.docker.compose.project=bed"]}');
  for (const [method, path] of [
    ['GET', '/info'],
    ['GET', '/v1.41/version'],
    ['GET', '/v1.41/containers/json?all=true'],
    ['GET', `/containers/json?filters=${own}`],
    ['GET', '/containers/edge/json'],
    ['GET', '/containers/edge/stats?stream=false&one-shot=true'],
  ] as const) {
    const { status, text } = await gate.call(method, path);
    assert.equal(status, 200, path);
    assert.ok(!text.includes(SECRET) && !text.includes(STRANGER) && !text.includes(ONE_OFF), `${path}: ${text}`);
  }
  const update = await gate.call('POST', '/containers/edge/update', { body: '{"Memory": 268435456}' });
  assert.equal(update.text.includes(SECRET), false);
  const sent = ['connection', 'content-length', 'content-type', 'host'];
  for (const { headers, url } of gate.arrived()) {
    assert.deepEqual(
      Object.keys(headers).filter((name) => !sent.includes(name)),
      [],
      url,
    );
    assert.equal(headers.host, 'localhost', url);
  }
});

test('what the engine says of a call that it fails comes through, with its status', async (t) => {
  const gate = await testGate(t);
  assert.deepEqual(await gate.call('POST', '/containers/mobile/start'), { status: 304, text: '' });
  const failed = await gate.call('POST', '/containers/mobile/unpause');
  assert.equal(failed.status, 500);
  assert.match(failed.text, /Container is not paused/);
});

test('says that it lives and is ready, and counts', async (t) => {
  const gate = await testGate(t);
  for (const path of ['/healthz', '/readyz']) assert.equal((await gate.call('GET', path)).status, 200, path);
  await gate.call('GET', '/containers/edge/json');
  await gate.call('GET', '/containers/edge/logs');
  const { text } = await gate.call('GET', '/metrics');
  assert.match(text, /^tierbed_gate_allowed_total\{call="inspect"\} 1$/m);
  assert.match(text, /^tierbed_gate_refused_total 1$/m);
});

/** Ways around the gate: each a request, or bytes on a connection. None may reach the socket, all are to be logged. */
const HOST = 'Host: gate';
const JSON_BODY = ['Content-Type: application/json'];
const limits = (body: string): Attempt => ['POST', '/containers/edge/update', { headers: JSON_BODY, body }];
type Attempt = Parameters<TestGate['call']>;

const REQUESTS: Readonly<Record<string, Attempt>> = {
  'create a container': [
    'POST',
    '/containers/create?name=x',
    { body: '{"Image":"debian","HostConfig":{"Privileged":true}}' },
  ],
  'create with a version': ['POST', '/v1.41/containers/create', { body: '{"Image":"debian"}' }],
  'create exec': ['POST', '/containers/edge/exec', { body: '{"Cmd":["sh"]}' }],
  'start exec': ['POST', `/exec/${EDGE}/start`, { body: '{"Detach":true}' }],
  'put an archive': ['PUT', '/containers/edge/archive?path=/', { body: 'tar' }],
  'get an archive': ['GET', '/containers/edge/archive?path=/etc/shadow'],
  'export a container': ['GET', '/containers/edge/export'],
  'read logs': ['GET', '/containers/edge/logs?stdout=1'],
  'list processes': ['GET', '/containers/edge/top'],
  'see changes': ['GET', '/containers/edge/changes'],
  'remove a container': ['DELETE', '/containers/edge?force=1'],
  'rename a container': ['POST', '/containers/edge/rename?name=gate'],
  'stop a container': ['POST', '/containers/edge/stop'],
  'wait for a container': ['POST', '/containers/edge/wait'],
  'resize a terminal': ['POST', '/containers/edge/resize?h=1&w=1'],
  'commit a container': ['POST', '/commit?container=edge'],
  'prune containers': ['POST', '/containers/prune'],
  'list volumes': ['GET', '/volumes'],
  'create a volume': ['POST', '/volumes/create', { body: '{"Name":"x"}' }],
  'list images': ['GET', '/images/json'],
  'pull an image': ['POST', '/images/create?fromImage=debian'],
  'load an image': ['POST', '/images/load', { body: 'tar' }],
  build: ['POST', '/build?remote=http://example.org/x', {}],
  'build session': ['POST', '/session', { headers: ['Connection: Upgrade', 'Upgrade: h2c'] }],
  'list networks': ['GET', '/networks'],
  'connect to a network': ['POST', '/networks/host/connect', { body: '{"Container":"edge"}' }],
  'start a swarm': ['POST', '/swarm/init', { body: '{}' }],
  'create a service': ['POST', '/services/create', { body: '{}' }],
  'read secrets': ['GET', '/secrets'],
  'install a plugin': ['POST', '/plugins/pull?remote=x'],
  'system prune': ['POST', '/build/prune'],
  'disk usage': ['GET', '/system/df'],
  events: ['GET', '/events'],
  'log in to a registry': ['POST', '/auth', { body: '{"username":"x"}' }],
  "another project's container by id": ['GET', `/containers/${STRANGER}/json`],
  "another project's container by short id": ['POST', `/containers/${STRANGER.slice(0, 12)}/kill`],
  "another project's container by name": ['POST', '/containers/other-edge-of-other-1/kill'],
  "another project's service": ['POST', '/containers/edge-of-other/kill'],
  'a container of one run': ['GET', `/containers/${ONE_OFF}/json`],
  'the name of such a service': ['POST', '/containers/cloud/restart'],
  'an id that is not there': ['POST', `/containers/${'9'.repeat(64)}/pause`],
  'the gate itself by id': ['POST', `/containers/${GATE}/kill`],
  'the gate itself by name': ['POST', '/containers/gate/restart'],
  Grafana: ['POST', `/containers/${GRAFANA}/pause`],
  "the name of one's own container": ['POST', '/containers/bed-edge-1/pause'],
  'part of an id': ['POST', `/containers/${EDGE.slice(0, 20)}/pause`],
  'too short a part of an id': ['POST', `/containers/${EDGE.slice(0, 6)}/pause`],
  'an id in capitals': ['POST', `/containers/${EDGE.toUpperCase()}/pause`],
  'an id and more': ['POST', `/containers/${EDGE}0/pause`],
  'dots upward': ['GET', `/containers/${EDGE}/../${STRANGER}/json`],
  'dots upward before a version': ['GET', '/../v1.41/containers/json'],
  'a dot': ['GET', '/./containers/json'],
  'two slashes': ['GET', '//containers/json'],
  'two slashes within': ['GET', '/containers//json'],
  'a slash at the end': ['GET', '/containers/edge/json/'],
  'encoded dots': ['GET', `/containers/%2e%2e/${STRANGER}/json`],
  'an encoded slash': ['GET', '/containers/edge%2fjson'],
  'a doubly encoded slash': ['GET', '/containers/edge%252f..%252fgate/json'],
  'an encoded letter': ['GET', '/containers/%65dge/json'],
  'an encoded null byte': ['GET', '/containers/edge%00/json'],
  'an encoded line end': ['GET', '/containers/edge%0d%0aHost:%20x/json'],
  'a backslash': ['GET', '/containers\\edge\\json'],
  'a semicolon': ['GET', '/containers/edge;x/json'],
  'a fragment': ['GET', '/containers/json#/../../info'],
  'a version of two': ['GET', '/v1.41/v1.41/info'],
  'an odd version': ['GET', '/v1.41%2f../info'],
  'a version before what is its own': ['GET', '/v1.41/metrics'],
  'another case': ['GET', '/Containers/json'],
  'an absolute URL': ['GET', 'http://gate/containers/json'],
  'an absolute URL of another': ['GET', 'http://docker/images/json'],
  'a socket as a URL': ['GET', 'unix:///var/run/docker.sock'],
  'no path': ['OPTIONS', '*'],
  'a very long path': ['GET', `/containers/${'a'.repeat(2000)}/json`],
  'another Host': ['GET', '/info', { headers: ['Host: docker'] }],
  'a method override': ['POST', '/containers/edge/start', { headers: ['X-HTTP-Method-Override: DELETE'] }],
  'a URL override': ['GET', '/info', { headers: ['X-Original-URL: /images/json'] }],
  'a forwarded address': ['GET', '/info', { headers: ['X-Forwarded-For: 127.0.0.1'] }],
  'credentials of a registry': ['GET', '/info', { headers: ['X-Registry-Auth: e30='] }],
  'an origin, as web pages have': ['GET', '/info', { headers: ['Origin: http://example.org'] }],
  'attach with an upgrade': [
    'POST',
    '/containers/edge/attach?stream=1&stdin=1',
    { headers: ['Connection: Upgrade', 'Upgrade: tcp'] },
  ],
  'start exec with an upgrade': [
    'POST',
    `/exec/${EDGE}/start`,
    { headers: ['Connection: Upgrade', 'Upgrade: tcp'], body: '{}' },
  ],
  'an upgrade of what is allowed': [
    'POST',
    '/containers/edge/start',
    { headers: ['Connection: Upgrade', 'Upgrade: tcp'] },
  ],
  'an upgrade to h2c': [
    'GET',
    '/info',
    { headers: ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAA'] },
  ],
  'attach by websocket': [
    'GET',
    '/containers/edge/attach/ws?stream=1',
    {
      headers: [
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
      ],
    },
  ],
  'a header to drop by the way': ['GET', '/info', { headers: ['Connection: close, Host'] }],
  'an expectation': [
    'POST',
    '/containers/edge/update',
    { headers: ['Expect: 100-continue'], body: '{"Memory":268435456}' },
  ],
  'another expectation': ['GET', '/info', { headers: ['Expect: 200-maybe'] }],
  'more headers than anyone needs': [
    'GET',
    '/info',
    { headers: Array.from({ length: 40 }, (_, i) => `Accept-${i}: x`) },
  ],
  'huge headers': ['GET', '/info', { headers: [`Accept: ${'x'.repeat(20_000)}`] }],
  'a huge body': limits(`{"Memory":268435456${' '.repeat(10_000)}}`),
  'an update of nothing': limits('{}'),
  'an update without a body': ['POST', '/containers/edge/update'],
  'an update that binds': limits('{"Memory":268435456,"Binds":["/:/host"]}'),
  'an update to privileged': limits('{"Privileged":true}'),
  'an update of the restart policy': limits('{"RestartPolicy":{"Name":"always"}}'),
  'an update of the set of CPUs': limits('{"CpusetCpus":"0"}'),
  'an update of block weight': limits('{"BlkioWeight":10}'),
  'an update of devices': limits('{"Devices":[{"PathOnHost":"/dev/sda"}]}'),
  'an update in another case': limits('{"memory":268435456}'),
  'an update with a doubled key': limits('{"Memory":268435456,"Memory":536870912}'),
  'an update with an escaped key': limits('{"\\u004demory":268435456}'),
  'an update with nesting': limits('{"HostConfig":{"Memory":268435456}}'),
  'an update of the prototype': limits('{"__proto__":{"Memory":268435456}}'),
  'an update of the constructor': limits('{"constructor":1}'),
  'an update by a list': limits('[{"Memory":268435456}]'),
  'an update with two values': limits('{"Memory":268435456}{"Memory":268435456}'),
  'an update with a fraction': limits('{"CpuQuota":2500.5}'),
  'an update with an exponent': limits('{"Memory":1e9}'),
  'an update by text': limits('{"Memory":"268435456"}'),
  'an update with a negative': limits('{"Memory":-1}'),
  'an update to less than anything runs in': limits('{"Memory":4096}'),
  'an update to more than there is': limits('{"Memory":1099511627776}'),
  'an update to more CPU than there is': limits('{"CpuQuota":3000000}'),
  'an update to a period out of bounds': limits('{"CpuPeriod":10}'),
  'an update with a byte order mark': limits('\u00ef\u00bb\u00bf{"Memory":268435456}'),
  'an update by query': ['POST', '/containers/edge/update?Memory=268435456', { body: '{"Memory":268435456}' }],
  'an odd signal': ['POST', '/containers/edge/kill?signal=SIGSTOP'],
  'a signal by number': ['POST', '/containers/edge/kill?signal=9'],
  'two signals': ['POST', '/containers/edge/kill?signal=SIGKILL&signal=SIGTERM'],
  'a signal by the body': ['POST', '/containers/edge/kill', { body: '{"signal":"SIGSTOP"}' }],
  'a signal of the query and another of the body': [
    'POST',
    '/containers/edge/kill?signal=SIGTERM',
    { body: '{"signal":"SIGSTOP"}' },
  ],
  'a restart that takes for ever': ['POST', '/containers/edge/restart?t=99'],
  'a restart with an unknown key': ['POST', '/containers/edge/restart?signal=SIGKILL'],
  'a start with a checkpoint': ['POST', '/containers/edge/start?checkpoint=x'],
  'a start with a host configuration': ['POST', '/containers/edge/start', { body: '{"Privileged":true}' }],
  'statistics without end': ['GET', '/containers/edge/stats?stream=true'],
  'statistics without end by default': ['GET', '/containers/edge/stats'],
  'sizes of a container': ['GET', '/containers/edge/json?size=1'],
  "a list of another project's": [
    'GET',
    `/containers/json?filters=${encodeURIComponent('{"label":["com.docker.compose.project=other"]}')}`,
  ],
  'a list of both': [
    'GET',
    `/containers/json?filters=${encodeURIComponent('{"label":["com.docker.compose.project=bed","x"]}')}`,
  ],
  'a list by name': ['GET', `/containers/json?filters=${encodeURIComponent('{"name":["edge"]}')}`],
  'a list with an unknown key': ['GET', '/containers/json?limit=1'],
  'a list with a body': ['GET', '/containers/json', { body: '{}' }],
  HEAD: ['HEAD', '/containers/json'],
  OPTIONS: ['OPTIONS', '/containers/json'],
  TRACE: ['TRACE', '/containers/json'],
  PATCH: ['PATCH', '/containers/edge/json'],
  'GET where it is POST': ['GET', '/containers/edge/kill'],
  'POST where it is GET': ['POST', '/containers/json'],
  CONNECT: ['CONNECT', 'docker:2375'],
};

const POST_UPDATE = `POST /containers/edge/update HTTP/1.1\r\n${HOST}\r\n`;
const SMUGGLED = `POST /containers/create HTTP/1.1\r\n${HOST}\r\nContent-Length: 2\r\n\r\n{}`;

const BYTES: Readonly<Record<string, readonly (string | Uint8Array)[]>> = {
  'CL.TE': [`${POST_UPDATE}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`],
  'TE.CL': [`${POST_UPDATE}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n${SMUGGLED}\r\n0\r\n\r\n`],
  'TE alone': [`${POST_UPDATE}Transfer-Encoding: chunked\r\n\r\n14\r\n{"Memory":268435456}\r\n0\r\n\r\n`],
  'TE in disguise': [`${POST_UPDATE}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`],
  'TE unknown': [`${POST_UPDATE}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`],
  'TE by a vertical tab': [`${POST_UPDATE}Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`],
  'two lengths': [`${POST_UPDATE}Content-Length: 2\r\nContent-Length: 90\r\n\r\n{}${SMUGGLED}`],
  'two lengths in one': [`${POST_UPDATE}Content-Length: 2, 90\r\n\r\n{}${SMUGGLED}`],
  'a signed length': [`${POST_UPDATE}Content-Length: +2\r\n\r\n{}${SMUGGLED}`],
  'a length in hexadecimal': [`${POST_UPDATE}Content-Length: 0x2\r\n\r\n{}${SMUGGLED}`],
  'a folded header': [`${POST_UPDATE}Accept: x\r\n Content-Length: 90\r\n\r\n${SMUGGLED}`],
  'a bare line feed': [`GET /info HTTP/1.1\n${HOST}\n\n`],
  'a bare carriage return': [`GET /info HTTP/1.1\r${HOST}\r\r`],
  'a null byte in the path': [`GET /containers/edge\0/json HTTP/1.1\r\n${HOST}\r\n\r\n`],
  'a null byte in a header': [`GET /info HTTP/1.1\r\n${HOST}\r\nAccept: a\0b\r\n\r\n`],
  'a space in the path': [`GET /containers/edge /json HTTP/1.1\r\n${HOST}\r\n\r\n`],
  'a smuggled body of a GET': [
    `GET /containers/json HTTP/1.1\r\n${HOST}\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  ],
  'two Hosts': [`GET /info HTTP/1.1\r\n${HOST}\r\nHost: docker\r\n\r\n`],
  'no Host': ['GET /info HTTP/1.1\r\n\r\n'],
  'a Host with a user': ['GET /info HTTP/1.1\r\nHost: gate@docker\r\n\r\n'],
  'HTTP/0.9': ['GET /info\r\n\r\n'],
  'HTTP/2 by prior knowledge': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  TLS: [Buffer.from('16030100a5010000a10303', 'hex')],
  'an unknown method': [`DEBUG /info HTTP/1.1\r\n${HOST}\r\n\r\n`],
  'a slow body': [`${POST_UPDATE}Content-Length: 20\r\n\r\n{"Mem`],
  'a slow head': [`GET /info HTTP/1.1\r\n${HOST}\r\nAcc`],
};

test('every way around it is refused and logged, and nothing of it reaches the socket', async (t) => {
  const gate = await testGate(t);
  for (const [name, attempt] of Object.entries(REQUESTS)) {
    const { status, text } = await gate.call(...attempt);
    assert.equal(status, 403, `${name}: ${status} ${text}`);
    if (attempt[0] !== 'HEAD') assert.match(text, /"message":"[^"]{5,}"/, name);
    refusedOnce(gate, name);
  }
});

test('bytes that are no request, or more than one, are refused and logged, and reach the socket no more', async (t) => {
  const gate = await testGate(t, 300);
  for (const [name, pieces] of Object.entries(BYTES)) {
    const answer = await gate.raw(...pieces);
    assert.match(answer, /^HTTP\/1\.1 403 Forbidden\r\n/, name);
    assert.equal(answer.match(/HTTP\/1\.1/g)?.length, 1, `${name}: one answer`);
    refusedOnce(gate, name);
  }
});

test('a second request on a connection is refused, whether it comes along or afterwards', async (t) => {
  const gate = await testGate(t);
  const first = `GET /info HTTP/1.1\r\n${HOST}\r\n\r\n`;
  const second = `POST /containers/edge/kill HTTP/1.1\r\n${HOST}\r\n\r\n`;
  const answer = await gate.raw(first + second);
  assert.equal(answer.match(/HTTP\/1\.1/g)?.length, 1, answer);
  assert.deepEqual(gate.arrived(), []);
  assert.match(gate.logged()[0]?.why ?? '', /second request/);
  assert.equal((await gate.raw(first, second)).match(/HTTP\/1\.1/g)?.length, 1);
  assert.deepEqual(gate.arrived(), []);
  // The gate still works.
  assert.equal((await gate.call('GET', '/info')).status, 200);
  assert.equal((await gate.call('POST', `/containers/${MOBILE}/pause`)).status, 204);
  assert.equal(gate.arrived().length, 1);
});

function refusedOnce(gate: TestGate, name: string): void {
  assert.deepEqual(gate.arrived(), [], `${name} reached the socket`);
  const logged = gate.logged();
  assert.ok(logged.length >= 1, `${name} was not logged`);
  for (const line of logged) {
    assert.equal(line.refused, true, name);
    assert.ok((line.why ?? '').length > 0, name);
    assert.ok(/^[\x20-\x7e]{0,203}$/.test(line.path ?? 'x'), `${name}: ${line.path}`);
    assert.equal(line.remote, '127.0.0.1', name);
  }
}
