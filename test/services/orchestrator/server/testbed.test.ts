import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { TierbedError } from '../../../../base/errors.js';
import { LINK_DRIVERS } from '../../../../services/link/index.js';
import type { LinkSettings } from '../../../../services/link/types.js';
import type { Runtime, Testbed, TierLimits } from '../../../../services/orchestrator/runtimes/runtime.js';
import type { ActiveFault } from '../../../../services/orchestrator/server/api.js';
import type { FaultAccess } from '../../../../services/orchestrator/server/testbed-access.js';
import type { TierName } from '../../../../services/orchestrator/tiers/tiers.js';
import { Harness } from './harness.js';

const LINKS: readonly LinkSettings[] = [
  {
    name: 'mobile-edge',
    up: { delayMs: 1, jitterMs: 0, queueBytes: 100_000 },
    down: { delayMs: 1, jitterMs: 0, queueBytes: 100_000 },
  },
  {
    name: 'edge-cloud',
    up: { rateMbps: 20, delayMs: 2, jitterMs: 0, queueBytes: 100_000 },
    down: { rateMbps: 20, delayMs: 2, jitterMs: 0, queueBytes: 100_000 },
  },
];

/** A runtime that keeps a testbed of real links and tiers that only remember. */
async function standing(t: TestContext): Promise<{ runtime: Runtime; calls: string[] }> {
  const opened = await (LINK_DRIVERS.proxy as NonNullable<typeof LINK_DRIVERS.proxy>).open(LINKS, []);
  t.after(() => opened.close());
  const links = new Proxy(opened, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      if (name !== 'set') return value.bind(target);
      // Long enough for another request to come in between.
      return (link: LinkSettings) => delay(300).then(() => target.set(link));
    },
  });
  const calls: string[] = [];
  const limits: Record<TierName, TierLimits> = {
    mobile: { cpus: 0.5, memoryMiB: 512 },
    edge: { cpus: 1, memoryMiB: 1024 },
    cloud: { cpus: 2, memoryMiB: 2048 },
  };
  const states = new Map<TierName, string>();
  let cpuSeconds = 0;
  const does = (what: string, state: string) => async (tier: TierName) => {
    calls.push(`${what} ${tier}`);
    states.set(tier, state);
  };
  const node = (tier: TierName) => ({ tier, client: { channel: { address: `${tier}:8003` } }, description: {} });
  const testbed = {
    nodes: { mobile: node('mobile'), edge: node('edge'), cloud: node('cloud') },
    links,
    tiers: {
      limits: async (tier: TierName) => limits[tier],
      setLimits: async (tier: TierName, changes: Partial<TierLimits>) => {
        calls.push(`limits ${tier} ${JSON.stringify(changes)}`);
        limits[tier] = { ...limits[tier], ...changes };
        return limits[tier];
      },
      state: async (tier: TierName) => states.get(tier) ?? 'running',
      usage: async (tier: TierName) => {
        if (tier === 'cloud') throw new TierbedError('refused', 'cloud does not run');
        cpuSeconds += 1;
        return { cpuSeconds, throttledSeconds: 0, memoryBytes: 64 * 2 ** 20 };
      },
      kill: does('kill', 'stopped'),
      start: does('start', 'running'),
      pause: does('pause', 'paused'),
      resume: does('resume', 'running'),
    },
    notes: [],
    lost: () => undefined,
    lostSignal: new AbortController().signal,
    route: () => '',
    close: async () => {},
  } as unknown as Testbed;
  const open = async (): Promise<never> => {
    throw new TierbedError('unavailable', 'not for this');
  };
  return {
    runtime: { name: 'fake', linkTolerance: { ms: 1, percent: 3 }, open, standing: async () => testbed },
    calls,
  };
}

test('links are shown, changed where they are named, and proven', async (t) => {
  const { runtime } = await standing(t);
  const harness = await Harness.start(t, { runtime });
  const set = await harness.call('PATCH', '/v1/links/mobile-edge', { direction: 'up', rateMbps: 40, delayMs: 3 });
  assert.equal(set.status, 200, JSON.stringify(set.body));
  assert.deepEqual(set.body.up, { ...LINKS[0]?.up, rateMbps: 40, delayMs: 3 });
  assert.deepEqual(set.body.down, LINKS[0]?.down);
  const { body } = await harness.call('GET', '/v1/links');
  assert.deepEqual(
    body.links.find(({ name }: LinkSettings) => name === 'mobile-edge'),
    set.body,
  );
  assert.deepEqual(
    body.links.find(({ name }: LinkSettings) => name === 'edge-cloud'),
    LINKS[1],
  );

  const report = await harness.call('POST', '/v1/links/verify', { links: ['mobile-edge'] });
  assert.equal(report.status, 200, JSON.stringify(report.body));
  const delay = report.body.figures.find(
    (f: { figure: string; direction: string }) => f.figure === 'delayMs' && f.direction === 'up',
  );
  assert.deepEqual([delay.link, delay.set], ['mobile-edge', 3]);
  assert.ok(delay.measured >= 3, `measured ${delay.measured}`);

  const changes = [
    harness.call('PATCH', '/v1/links/edge-cloud', { delayMs: 9 }),
    harness.call('PATCH', '/v1/links/edge-cloud', { rateMbps: 7 }),
  ];
  await Promise.all(changes);
  const after = (await harness.call('GET', '/v1/links')).body.links.find(
    ({ name }: LinkSettings) => name === 'edge-cloud',
  );
  assert.deepEqual([after.up.delayMs, after.up.rateMbps], [9, 7], 'neither change undid the other');

  const nothing = await harness.call('PATCH', '/v1/links/edge-cloud', { direction: 'up' });
  assert.deepEqual([nothing.status, nothing.body.error.kind], [400, 'invalid']);
});

test('tiers are shown and changed', async (t) => {
  const { runtime, calls } = await standing(t);
  const harness = await Harness.start(t, { runtime });
  const { body } = await harness.call('GET', '/v1/tiers');
  assert.deepEqual(
    body.tiers.map(({ name, state, limits }: { name: string; state: string; limits: object }) => [
      name,
      state,
      limits,
    ])[1],
    ['edge', 'running', { cpus: 1, memoryMiB: 1024 }],
  );
  const [mobile, , cloud] = body.tiers;
  assert.equal(mobile.usage.memoryMiB, 64);
  assert.ok(mobile.usage.cpus > 0, 'the first answer has a rate, too');
  assert.equal(cloud.usage, null);
  const set = await harness.call('PATCH', '/v1/tiers/edge', { cpus: 0.25 });
  assert.deepEqual(set.body.limits, { cpus: 0.25, memoryMiB: 1024 });
  assert.equal((await harness.call('PATCH', '/v1/tiers/edge', { paused: true })).body.state, 'paused');
  assert.equal((await harness.call('PATCH', '/v1/tiers/edge', { paused: false })).body.state, 'running');
  assert.equal((await harness.call('PATCH', '/v1/tiers/cloud', { running: false })).body.state, 'stopped');
  assert.equal(
    (await harness.call('PATCH', '/v1/tiers/cloud', { running: true, memoryMiB: 64 })).body.state,
    'running',
  );
  assert.deepEqual(calls, [
    'limits edge {"cpus":0.25}',
    'pause edge',
    'resume edge',
    'kill cloud',
    'start cloud',
    'limits cloud {"memoryMiB":64}',
  ]);
});

test('faults go through the board', async (t) => {
  const { runtime } = await standing(t);
  const active: ActiveFault[] = [];
  const board: FaultAccess = {
    start: async ({ fault, options, forS }) => {
      if (fault !== 'link-down') throw new TierbedError('invalid', `there is no fault '${fault}'`);
      active.push({
        id: 'f1',
        fault,
        options,
        startedAt: new Date().toISOString(),
        ...(forS && { endsAt: new Date().toISOString() }),
      });
      return active[0] as ActiveFault;
    },
    stop: async (id) => {
      if (!active.some((fault) => fault.id === id)) throw new TierbedError('missing', `no fault ${id} is in force`);
      active.splice(0);
    },
    active: () => active,
  };
  const known = [{ name: 'link-down', help: 'Nothing passes.', options: { type: 'object' }, start: () => {} }];
  const harness = await Harness.start(t, { runtime, faults: { known, board: () => board } });
  const started = await harness.call('POST', '/v1/faults', {
    fault: 'link-down',
    link: 'edge-cloud',
    forS: 5,
    factor: 2,
  });
  assert.equal(started.status, 201, JSON.stringify(started.body));
  assert.deepEqual([started.body.fault, started.body.options], ['link-down', { link: 'edge-cloud', factor: 2 }]);
  assert.ok(started.body.endsAt, 'forS is passed on');
  const [listed] = (await harness.call('GET', '/v1/faults')).body.known;
  assert.deepEqual(listed, { name: 'link-down', help: 'Nothing passes.', options: { type: 'object' } });
  assert.equal((await harness.call('GET', '/v1/faults')).body.active.length, 1);
  const figures = async (): Promise<string> => (await harness.call('GET', '/metrics')).body;
  const inForce = 'tierbed_faults_in_force{fault="link-down",target="edge-cloud"} 1';
  assert.ok((await figures()).includes(inForce), 'the metrics have it, though no study runs');
  assert.equal((await harness.call('POST', '/v1/faults', { fault: 'nonsense' })).status, 400);
  assert.equal((await harness.call('DELETE', '/v1/faults/f2')).status, 404);
  assert.equal((await harness.call('DELETE', '/v1/faults/f1')).status, 204);
  assert.deepEqual((await harness.call('GET', '/v1/faults')).body.active, []);
  assert.ok(!(await figures()).includes(inForce));
});

test('without a testbed links, tiers and faults are refused, with the fix', async (t) => {
  const harness = await Harness.start(t);
  const calls: [string, string, object?][] = [
    ['GET', '/v1/links'],
    ['PATCH', '/v1/links/mobile-edge', { delayMs: 1 }],
    ['POST', '/v1/links/verify', {}],
    ['GET', '/v1/tiers'],
    ['PATCH', '/v1/tiers/edge', { cpus: 1 }],
    ['POST', '/v1/faults', { fault: 'x' }],
    ['DELETE', '/v1/faults/f1'],
  ];
  for (const [method, path, body] of calls) {
    const answer = await harness.call(method, path, body);
    assert.deepEqual([answer.status, answer.body.error.kind], [409, 'refused'], `${method} ${path}`);
    assert.match(answer.body.error.fix, /tierbed up/);
  }
});
