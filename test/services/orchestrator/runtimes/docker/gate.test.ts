import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { openGate } from '../../../../../services/orchestrator/runtimes/docker/gate.js';

const INSPECTED = {
  Id: 'c1',
  Image: 'sha256:5',
  RestartCount: 2,
  State: {
    Status: 'running',
    StartedAt: '2026-01-01T00:00:00Z',
    ExitCode: 0,
    OOMKilled: false,
    Health: { Status: 'healthy' },
  },
  HostConfig: { CpuPeriod: 5000, CpuQuota: 2500, Memory: 1024, MemorySwap: 1024 },
};

/** A gate that knows one container, and notes what it is asked. */
async function fakeGate(t: TestContext, answers: Record<string, [number, unknown]> = {}) {
  const asked: string[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const path = String(request.url).replace(/^\/v[\d.]+/, '');
    asked.push(`${request.method} ${path}${body && ` ${body}`}`);
    const known: Record<string, [number, unknown]> = {
      '/containers/json': [200, [{ Id: 'c1', Labels: { 'com.docker.compose.service': 'edge' } }]],
      '/containers/c1/json': [200, INSPECTED],
      '/containers/c1/stats': [
        200,
        {
          cpu_stats: {
            cpu_usage: { total_usage: 2e9 },
            throttling_data: { periods: 9, throttled_periods: 3, throttled_time: 5e6 },
          },
          memory_stats: { usage: 4096 },
        },
      ],
      '/containers/c1/update': [200, { Warnings: [] }],
      ...answers,
    };
    const [status, answer] = known[path.split('?')[0] ?? ''] ?? [204, ''];
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(answer === '' ? undefined : JSON.stringify(answer));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  t.after(() => server.close());
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

test('containers are found by their service, and asked for what the gate lets through', async (t) => {
  const { asked, url } = await fakeGate(t);
  const gate = openGate(url);
  const edge = await gate.inspect('edge');
  assert.deepEqual(edge, {
    ...{ service: 'edge', id: 'c1', imageId: 'sha256:5', status: 'running', startedAt: '2026-01-01T00:00:00Z' },
    ...{ exitCode: 0, oomKilled: false, restarts: 2, health: 'healthy' },
    limits: { CpuPeriod: 5000, CpuQuota: 2500, Memory: 1024, MemorySwap: 1024 },
  });
  assert.deepEqual([...(await gate.services()).keys()], ['edge']);
  asked.length = 0;
  assert.deepEqual(await gate.usage('edge'), {
    ...{ cpuSeconds: 2, memoryBytes: 4096 },
    throttling: { periods: 9, throttledPeriods: 3, throttledMs: 5 },
  });
  assert.deepEqual(asked.splice(0), ['GET /containers/c1/stats?stream=false&one-shot=true']);
  await gate.update('edge', { CpuPeriod: 5000, CpuQuota: 1250, Memory: 9, MemorySwap: 9 });
  await gate.kill('edge');
  await gate.start('edge');
  await gate.restart('edge');
  await gate.pause('edge');
  await gate.unpause('edge');
  assert.deepEqual(asked, [
    'POST /containers/c1/update {"CpuPeriod":5000,"CpuQuota":1250,"Memory":9,"MemorySwap":9}',
    'POST /containers/c1/kill?signal=SIGKILL {"signal":"SIGKILL"}',
    'POST /containers/c1/start',
    'POST /containers/c1/restart?t=2 {"t":2}',
    'POST /containers/c1/pause',
    'POST /containers/c1/unpause',
  ]);
  await assert.rejects(gate.inspect('moon'), { kind: 'missing', message: /'moon'/, fix: /docker compose up/ });
});

test("Docker's own words are kept, and a gate that is not there is named", async (t) => {
  const nano = 'Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set';
  const { url } = await fakeGate(t, {
    '/containers/c1/update': [400, { message: nano }],
    '/containers/c1/start': [304, ''],
    '/containers/c1/kill': [409, { message: 'container c1 is not running' }],
  });
  const gate = openGate(url);
  const limits = { CpuPeriod: 5000, CpuQuota: 1250, Memory: 9, MemorySwap: 9 };
  await assert.rejects(gate.update('edge', limits), {
    kind: 'refused',
    message: /limit edge: .*NanoCPUs/,
    fix: /`cpus`/,
  });
  await assert.rejects(gate.kill('edge'), { kind: 'refused', message: /is not running/ });
  await gate.start('edge');
  await assert.rejects(openGate('http://127.0.0.1:1').inspect('edge'), { kind: 'unavailable', message: /the gate at/ });
  assert.throws(() => openGate('unix:///var/run/docker.sock'), { kind: 'invalid', message: /TIERBED_GATE/ });
});

test('a container that was made anew is found again', async (t) => {
  const answers: Record<string, [number, unknown]> = {};
  const { url } = await fakeGate(t, answers);
  const gate = openGate(url);
  await gate.inspect('edge');
  answers['/containers/c1/json'] = [404, { message: 'No such container: c1' }];
  answers['/containers/json'] = [200, [{ Id: 'c2', Labels: { 'com.docker.compose.service': 'edge' } }]];
  answers['/containers/c2/json'] = [200, { ...INSPECTED, Id: 'c2' }];
  assert.equal((await gate.inspect('edge')).id, 'c2');
});
