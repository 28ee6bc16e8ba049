import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { startGate } from '../../../services/gate/gate.js';

const run = promisify(execFile);
const skip = process.env.TIERBED_DOCKER_TESTS ? false : 'TIERBED_DOCKER_TESTS is not set';

/** Two projects that are up for the test: ours, and one that has nothing to do with it. */
const COMPOSE = `
x-sleeper: &sleeper
  image: debian:bookworm-slim
  command: [sleep, "600"]
  init: true
  network_mode: none
services:
  edge: { <<: *sleeper, environment: { PASSWORD: hunter2 } }
  gate: { <<: *sleeper }
`;

test('the gate before the Docker engine', { skip, timeout: 120_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-gate-'));
  const file = join(folder, 'compose.yaml');
  await writeFile(file, COMPOSE);
  const projects = { own: `tierbed-gate-${process.pid}`, other: `tierbed-gate-${process.pid}-other` };
  const compose = async (project: string, ...args: string[]): Promise<string> =>
    (await run('docker', ['compose', '-p', project, '-f', file, ...args])).stdout.trim();
  t.after(async () => {
    for (const project of Object.values(projects)) await compose(project, 'down', '-v', '-t', '0');
    await rm(folder, { recursive: true, force: true });
  });
  for (const project of Object.values(projects)) await compose(project, 'up', '-d');
  const idOf = (project: string, service: string): Promise<string> => compose(project, 'ps', '-q', service);

  const lines: unknown[] = [];
  const log = { info: () => {}, warn: (line: unknown) => lines.push(line) } as unknown as Parameters<
    typeof startGate
  >[0]['log'];
  const self = await idOf(projects.own, 'gate');
  const gate = await startGate({ host: '127.0.0.1', port: 0, socketPath: '/var/run/docker.sock', self, log });
  t.after(() => gate.close());
  const docker = new Docker({ protocol: 'http', host: '127.0.0.1', port: Number(gate.address.split(':')[1]) });

  assert.deepEqual(Object.keys(await docker.info()), ['NCPU', 'MemTotal']);
  const list = await docker.listContainers({ all: true });
  assert.deepEqual(list.map(({ Labels }) => Labels['com.docker.compose.service']).sort(), ['edge', 'gate']);
  const id = await idOf(projects.own, 'edge');
  const edge = docker.getContainer(id);
  assert.ok(!JSON.stringify(await edge.inspect()).includes('hunter2'));

  const limits = { CpuPeriod: 5_000, CpuQuota: 2_500, Memory: 64 * 2 ** 20, MemorySwap: 64 * 2 ** 20 };
  await edge.update(limits);
  const { HostConfig: host } = await edge.inspect();
  const inForce = Object.fromEntries(Object.keys(limits).map((key) => [key, host[key as keyof typeof limits]]));
  assert.deepEqual(inForce, limits);
  const stats = await edge.stats({ stream: false, 'one-shot': true });
  assert.equal(stats.memory_stats.limit, limits.Memory);
  assert.ok(stats.cpu_stats.throttling_data.periods >= 0);

  await edge.pause();
  assert.equal((await edge.inspect()).State.Status, 'paused');
  await edge.unpause();
  const before = await edge.inspect();
  await edge.restart({ t: 0 });
  assert.notEqual((await edge.inspect()).State.StartedAt, before.State.StartedAt);
  await edge.kill({ signal: 'SIGKILL' });
  assert.equal((await ended(edge)).State.ExitCode, 137);
  await docker.getContainer('edge').start();
  assert.equal((await edge.inspect()).State.Status, 'running');
  await assert.rejects(edge.unpause(), /not paused/, "the engine's own refusal");

  const stranger = await idOf(projects.other, 'edge');
  const untold = lines.length;
  for (const target of [stranger, stranger.slice(0, 12), `${projects.other}-edge-1`, self, 'gate']) {
    await assert.rejects(docker.getContainer(target).kill(), { statusCode: 403 }, target);
  }
  await assert.rejects(docker.createContainer({ Image: 'debian:bookworm-slim' }), { statusCode: 403 });
  await assert.rejects(edge.exec({ Cmd: ['true'] }), { statusCode: 403 });
  await assert.rejects(edge.attach({ stream: true, hijack: true, stdin: true }), /403/);
  await assert.rejects(edge.remove({ force: true }), { statusCode: 403 });
  assert.equal(lines.length - untold, 9);
  assert.match(await compose(projects.other, 'ps', '--format', '{{.Status}}', 'edge'), /^Up/);
});

/** A killed container is seen to have ended a little later. */
async function ended(container: Docker.Container): Promise<Docker.ContainerInspectInfo> {
  for (let i = 0; i < 100; i++) {
    const info = await container.inspect();
    if (info.State.Status === 'exited') return info;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the container is still there');
}
