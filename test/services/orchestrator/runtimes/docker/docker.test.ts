import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { silent } from '../../../../../base/progress.js';
import type { DockerParts } from '../../../../../services/orchestrator/runtimes/docker/testbed.js';
import { dockerRuntime } from '../../../../../services/orchestrator/runtimes/docker.js';
import type { Testbed } from '../../../../../services/orchestrator/runtimes/runtime.js';
import { FakeTestbed, LINKS, STANDING, TIERS } from './fake-testbed.js';

const never = new AbortController().signal;

async function opened(t: TestContext, changes: Partial<DockerParts> = {}) {
  const fake = await FakeTestbed.start(t);
  const runtime = dockerRuntime(
    () => ({ ...fake.parts, ...changes }),
    () => STANDING,
  );
  const open = (): Promise<Testbed> => runtime.open({ tiers: TIERS, links: LINKS }, silent, never);
  return { fake, runtime, open };
}

/** Waits until the testbed says that something is lost. */
async function loss(testbed: Testbed): Promise<string> {
  if (!testbed.lostSignal.aborted) {
    await new Promise((resolve) => testbed.lostSignal.addEventListener('abort', resolve, { once: true }));
  }
  const { tier, reason } = testbed.lost() ?? {};
  return `${tier}: ${reason}`;
}

test('a testbed opens with its limits in force and its links set, and closes with nothing deployed', async (t) => {
  const { fake, open } = await opened(t);
  fake.deployed.edge.add('left by a run that was killed');
  const testbed = await open();
  t.after(() => testbed.close());
  assert.deepEqual(fake.calls, ['update mobile', 'update edge', 'update cloud']);
  assert.equal(fake.deployed.edge.size, 0);
  assert.equal(fake.states.get('mobile')?.limits.CpuQuota, 1250);
  assert.equal(fake.states.get('cloud')?.limits.MemorySwap, 2 ** 31);
  assert.deepEqual(await testbed.tiers.limits('edge'), { cpus: 0.5, memoryMiB: 1024 });
  assert.deepEqual(fake.opened, [LINKS]);
  assert.deepEqual(fake.standing, STANDING);
  assert.equal(testbed.route('mobile', 'edge'), 'a:1');
  assert.equal(testbed.route('mobile', 'cloud'), 'proxy:5', 'links that lead elsewhere say where');
  assert.deepEqual(testbed.notes, []);
  await testbed.nodes.edge.client.deploy({ name: 's' });
  await testbed.nodes.mobile.client.deploy({ name: 's' });
  await testbed.close();
  assert.deepEqual([fake.deployed.mobile.size, fake.deployed.edge.size, fake.linksClosed], [0, 0, 1]);
});

test('what is wrong names the service, the key and the fix', async (t) => {
  const { fake, open } = await opened(t, { connectWithinMs: 800 });
  await fake.end('edge', { status: 'running' });
  await assert.rejects(open(), { kind: 'unavailable', message: /^the edge node does not answer/, fix: /logs edge/ });
  await fake.end('edge', { status: 'restarting' });
  await assert.rejects(open(), { kind: 'unavailable', message: /^edge did not come back/, fix: /docker compose up/ });
  await fake.begin('edge');
  fake.states.delete('cloud-link');
  await assert.rejects(open(), { kind: 'missing', message: /cloud-link/, fix: /docker compose up/ });
  await fake.begin('cloud-link');
  fake.readBack = (limits) => ({ ...limits, CpuQuota: -1 });
  await assert.rejects(open(), { kind: 'refused', message: /mobile was limited.*Docker reads back/ });
  fake.readBack = (limits) => limits;
  fake.nodeSees = { quota: null, memoryLimitBytes: null };
  await assert.rejects(open(), { kind: 'refused', message: /mobile was limited.*its node sees/ });
  fake.nodeSees = undefined;
  fake.gateDown = true;
  await assert.rejects(open(), { kind: 'unavailable', message: /gate/ });
  assert.equal(fake.opened.length, 0);
});

test('what died while nobody looked is brought back first', async (t) => {
  const { fake, open } = await opened(t);
  await fake.end('mobile-link');
  await fake.end('cloud');
  const testbed = await open();
  t.after(() => testbed.close());
  assert.deepEqual(fake.calls.slice(0, 3), ['start mobile-link', 'start cloud', 'restart mobile']);
});

test('after a restart of the engine all is brought back, in whatever order things come up', async (t) => {
  const { fake, open } = await opened(t);
  // Docker starts what was running, and lets a tier be that would join an agent which does not run yet: exit code 128.
  for (const service of fake.states.keys()) await fake.end(service);
  for (const tier of ['mobile', 'edge', 'cloud']) await fake.end(tier, { status: 'exited', exitCode: 128 });
  await fake.begin('mobile-link');
  await fake.end('edge-link', { status: 'restarting' });
  fake.gateDown = true;
  const opening = open();
  opening.catch(() => {});
  await delay(700);
  assert.equal(fake.calls.length, 0);
  fake.gateDown = false;
  while (!fake.calls.includes('start mobile')) await Promise.race([opening, delay(20)]);
  await fake.begin('edge-link');
  const testbed = await opening;
  t.after(() => testbed.close());
  const starts = fake.calls.filter((call) => !call.startsWith('update')).sort();
  assert.deepEqual(starts, ['start cloud', 'start cloud-link', 'start edge', 'start mobile']);
});

test('tiers that the host cannot hold are refused before anything is touched', async (t) => {
  const { fake, runtime, open } = await opened(t, { host: { cores: 2, memoryMiB: 1500 } });
  assert.equal(runtime.checkTiers?.(TIERS)?.tier, 'cloud');
  await assert.rejects(open(), { kind: 'refused', message: /tiers\.cloud\.memoryMiB/, fix: /--scale 0\.5/ });
  assert.deepEqual(fake.calls, []);
});

test('limits, pauses and kills go through the gate; what was killed on purpose is not lost', async (t) => {
  const { fake, open } = await opened(t);
  const testbed = await open();
  t.after(() => testbed.close());
  assert.deepEqual(await testbed.tiers.setLimits('edge', { cpus: 0.25 }), { cpus: 0.25, memoryMiB: 1024 });
  assert.deepEqual(await testbed.tiers.setLimits('edge', { memoryMiB: 512 }), { cpus: 0.25, memoryMiB: 512 });
  await assert.rejects(testbed.tiers.setLimits('edge', { cpus: 5 }), { kind: 'refused', message: /host has 4/ });
  await testbed.tiers.pause('edge');
  await testbed.tiers.resume('edge');
  await testbed.nodes.cloud.client.deploy({ name: 's' });
  await testbed.tiers.kill('cloud');
  await testbed.look?.();
  assert.equal(testbed.lost(), undefined);
  await testbed.tiers.start('cloud');
  assert.deepEqual((await testbed.nodes.cloud.client.describe()).deployments, []);
  await testbed.look?.();
  assert.equal(testbed.lost(), undefined);
  assert.deepEqual(fake.calls.slice(3), [
    ...['update edge', 'update edge', 'pause edge', 'unpause edge', 'kill cloud', 'start cloud'],
  ]);
  assert.deepEqual(testbed.interruptions?.(), []);
  await fake.end('cloud');
  assert.match(await loss(testbed), /^cloud: /, 'started again, it can be lost');
});

test('a node that dies is noticed at once and brought back; its links stay as they are', async (t) => {
  const { fake, open } = await opened(t);
  const testbed = await open();
  t.after(() => testbed.close());
  const before = testbed.lostSignal;
  await fake.end('edge');
  assert.match(await loss(testbed), /^edge: /);
  const recovery = await testbed.recover?.(never, silent);
  assert.deepEqual(recovery, { tiers: ['edge'], linksRenewed: false });
  assert.deepEqual(fake.calls.slice(3), ['start edge']);
  assert.equal(testbed.lost(), undefined);
  assert.ok(before.aborted && !testbed.lostSignal.aborted);
  assert.equal((await testbed.nodes.edge.client.describe()).tier, 'edge');
  assert.deepEqual(fake.linksSet, []);
  const [interruption, ...more] = testbed.interruptions?.() ?? [];
  assert.equal(interruption?.what, 'edge');
  assert.ok((interruption?.tookMs ?? -1) >= 0 && more.length === 0);
});

test('a node whose agent dies is restarted after it, and all links are set again as they last were', async (t) => {
  const { fake, open } = await opened(t);
  const testbed = await open();
  t.after(() => testbed.close());
  const slower = { ...LINKS[0], name: 'mobile-edge', blocked: true } as (typeof LINKS)[0];
  await testbed.links.set(slower);
  await fake.end('edge-link');
  assert.match(await loss(testbed), /^edge: its link agent edge-link is gone/);
  fake.linksSet = [];
  assert.deepEqual(await testbed.recover?.(never, silent), { tiers: ['edge'], linksRenewed: true });
  assert.deepEqual(fake.calls.slice(3), ['start edge-link', 'restart edge']);
  assert.deepEqual(
    testbed.interruptions?.().map(({ what }) => what),
    ['edge-link'],
    'the restart of its node is no loss of its own',
  );
  assert.deepEqual(fake.linksSet, [slower, LINKS[1]]);
});

test('a restart between two samples shows when somebody looks', async (t) => {
  const { fake, open } = await opened(t);
  const testbed = await open();
  t.after(() => testbed.close());
  await fake.begin('cloud');
  assert.equal(testbed.lost(), undefined);
  await testbed.look?.();
  assert.deepEqual(testbed.lost(), { tier: 'cloud', reason: 'it was restarted' });
  assert.deepEqual((await testbed.recover?.(never, silent))?.tiers, ['cloud']);
});

test('Prometheus is brought back without a sample noticing, and a gate that is away is on record', async (t) => {
  const { fake, open } = await opened(t);
  const testbed = await open();
  t.after(() => testbed.close());
  await fake.end('prometheus');
  await testbed.look?.();
  assert.deepEqual(fake.calls.slice(3), ['start prometheus']);
  await testbed.look?.();
  await testbed.look?.();
  fake.gateDown = true;
  await testbed.look?.();
  fake.gateDown = false;
  await testbed.look?.();
  assert.equal(testbed.lost(), undefined);
  assert.deepEqual(
    testbed.interruptions?.().map(({ what }) => what),
    ['prometheus', 'gate'],
  );
});

test('what is known of each tier goes into the results', async (t) => {
  const { open } = await opened(t);
  const testbed = await open();
  t.after(() => testbed.close());
  const { edge } = (await testbed.describeTiers?.()) ?? {};
  assert.equal(edge?.image, 'sha256:1');
  assert.deepEqual(edge?.limitsSet, edge?.limitsReadBack);
  assert.deepEqual(edge?.throttling, { periods: 10, throttledPeriods: 4, throttledMs: 20 });
  assert.match(JSON.stringify(edge?.cgroup), /"quota":\{"cpus":0\.5\}/);
  assert.deepEqual([edge?.restarts, edge?.oomKilled], [0, false]);
});

test('between studies there is one testbed with the standing links, which makes way for a study', async (t) => {
  const { fake, runtime, open } = await opened(t, { host: { cores: 64, memoryMiB: 100_000 } });
  const first = await runtime.standing?.(silent, never);
  assert.equal(await runtime.standing?.(silent, never), first);
  assert.deepEqual(fake.opened, [STANDING]);
  await fake.end('edge');
  assert.equal(await runtime.standing?.(silent, never), first, 'it is mended when it is asked for');
  assert.deepEqual(fake.calls.at(-1), 'start edge');
  const study = await open();
  assert.equal(fake.linksClosed, 1);
  await study.close();
  const next = await runtime.standing?.(silent, never);
  assert.notEqual(next, first);
  await next?.close();
});
