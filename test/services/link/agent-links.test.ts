import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { kernelFacts } from '../../../base/kernel.js';
import { agentHandlers } from '../../../services/link/agent/handlers.js';
import { type AgentTier, agentPlan } from '../../../services/link/agent/plan.js';
import { Probes } from '../../../services/link/agent/probes.js';
import { PacketShaping } from '../../../services/link/agent/shaping.js';
import { openAgentLinks } from '../../../services/link/agent-links.js';
import type { LinkSettings } from '../../../services/link/types.js';
import { linkAgentService } from '../../../services/rpc/link-agent.js';
import { type RpcServer, startRpcServer } from '../../../services/rpc/server/server.js';
import { FakeDriver } from './agent/fake-driver.js';

const TIERS = ['mobile', 'edge', 'cloud'] as const;

/** An agent of this process: real in everything but the kernel. All of 127/8 is this machine's. */
class FakeAgent {
  readonly tier: AgentTier;
  readonly driver: FakeDriver;
  server: RpcServer | undefined;
  #probes: Probes | undefined;

  constructor(tier: AgentTier, driver = new FakeDriver()) {
    this.tier = tier;
    this.driver = driver;
  }

  async start(port = 0): Promise<string> {
    const plan = agentPlan(this.tier, '127.0');
    const names = {
      control: 'eth3',
      data: new Map([['mobile-edge', 'eth1'] as const, ['edge-cloud', 'eth2'] as const]),
    };
    const shaping = new PacketShaping(plan, this.driver, {
      interfaceName: (link) => names.data.get(link) as string,
      shut: async () => {},
      segmentsAtOnce: async () => {},
    });
    this.#probes = new Probes(plan);
    const context = {
      plan,
      names,
      shaping,
      notes: [`${this.tier} is not real`],
      relaying: undefined,
      metricsAddress: '',
      log: undefined,
    };
    const choice = { name: this.driver.name, driver: this.driver, why: 'it is a test' };
    const handlers = agentHandlers({ ...context, choice, probes: this.#probes, bootId: randomUUID() });
    this.server = await startRpcServer({ host: '127.0.0.1', port, services: [linkAgentService(handlers)] });
    return this.server.address;
  }

  async stop(): Promise<void> {
    await this.#probes?.closeAll();
    await this.server?.close(0);
    this.server = undefined;
  }
}

async function started(t: TestContext, drivers: Partial<Record<AgentTier, FakeDriver>> = {}) {
  const [mobile, edge, cloud] = TIERS.map((tier) => new FakeAgent(tier, drivers[tier])) as [
    FakeAgent,
    FakeAgent,
    FakeAgent,
  ];
  t.after(() => Promise.all([mobile, edge, cloud].map((agent) => agent.stop())));
  const addresses = { mobile: await mobile.start(), edge: await edge.start(), cloud: await cloud.start() };
  return { mobile, edge, cloud, addresses };
}

function link(name: LinkSettings['name'], delayMs: number): LinkSettings {
  const direction = { rateMbps: 0, delayMs, jitterMs: 0, queueBytes: 65_536 };
  return { name, up: direction, down: direction };
}

const links = [link('mobile-edge', 5), link('edge-cloud', 10)];
const never = new AbortController().signal;

test('all agents are set, read back, changed, and left shut or as they are to stand', async (t) => {
  const { mobile, edge, cloud, addresses } = await started(t);
  const open = await openAgentLinks(addresses, links, never);
  assert.deepEqual(open.driver, { name: 'fake', why: 'it is a test' });
  assert.deepEqual(Object.fromEntries(open.addresses), {
    'mobile>edge': 'edge:8001',
    'mobile>cloud': 'cloud:8001',
    'edge>cloud': 'cloud:8001',
  });
  assert.deepEqual(await open.inForce(), links);
  const { kernel, congestionControl } = await kernelFacts();
  assert.match(kernel, /^\w+ \d/);
  const seen = { driver: 'fake', why: 'it is a test', kernel, congestionControl };
  assert.deepEqual(
    await open.shapers?.(),
    TIERS.map((tier) => ({ tier, ...seen, notes: [`${tier} is not real`] })),
  );
  assert.deepEqual(
    await open.stats(),
    new Map([
      ['mobile-edge', { upBytes: 14_480, downBytes: 14_480 }],
      ['edge-cloud', { upBytes: 14_480, downBytes: 14_480 }],
    ]),
  );
  await open.set(link('edge-cloud', 50));
  assert.deepEqual((await open.inForce())[1], link('edge-cloud', 50));
  await assert.rejects(open.set(link('edge-cloud', -1)), { kind: 'invalid' });
  await open.close();
  assert.deepEqual(
    [mobile, edge, cloud].map(({ driver }) => driver.told.at(-1)?.blocked),
    [true, true, true],
  );

  const standing = [link('mobile-edge', 1), link('edge-cloud', 2)];
  const again = await openAgentLinks(addresses, links, never, { standing });
  await again.close();
  assert.deepEqual(mobile.driver.told.at(-1), { interfaceName: 'eth1', settings: standing[0]?.down, blocked: false });
});

test('an agent that is away, is another, or shapes otherwise is named', async (t) => {
  const { addresses, cloud } = await started(t, { edge: new FakeDriver('other') });
  await assert.rejects(openAgentLinks(addresses, links, never), { kind: 'refused', message: /edge other/ });
  const swapped = { ...addresses, mobile: addresses.cloud };
  await assert.rejects(openAgentLinks(swapped, links, never), {
    kind: 'refused',
    message: /that of cloud, not of mobile/,
  });
  await cloud.stop();
  const stop = AbortSignal.timeout(300);
  await assert.rejects(openAgentLinks(addresses, links, stop), { kind: 'cancelled' });
});

test('settings that an agent cannot do are its error, with its name', async (t) => {
  const { addresses, cloud } = await started(t);
  cloud.driver.failure = new Error('no queue');
  await assert.rejects(openAgentLinks(addresses, links, never), { message: /the link agent of cloud: .*no queue/ });
});

test('an agent that starts anew is set as it was, and that is told', { timeout: 60_000 }, async (t) => {
  const { addresses, edge } = await started(t);
  const restarted: string[] = [];
  let tell = (): void => {};
  const told = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const open = await openAgentLinks(addresses, links, never, {
    watchEveryMs: 50,
    onRestart: (tier) => {
      restarted.push(tier);
      tell();
    },
  });
  t.after(() => open.close());
  await open.set(link('mobile-edge', 7));
  const port = edge.server?.port as number;
  await edge.stop();
  edge.driver.told.length = 0;
  await edge.start(port);
  await told;
  assert.deepEqual(restarted, ['edge']);
  assert.deepEqual(
    edge.driver.told.map(({ settings }) => settings.delayMs),
    [7, 10],
  );
});

test('two agents measure the way between them, both ways', {
  timeout: 60_000,
  skip: process.platform !== 'linux',
}, async (t) => {
  const { addresses } = await started(t);
  const open = await openAgentLinks(addresses, links, never);
  t.after(() => open.close());
  const probe = await open.probe(['edge-cloud']);
  const exchanges = await probe.exchange({
    upBytes: 10_000,
    downBytes: 48,
    count: 5,
    intervalMs: 0,
    timeoutMs: 10_000,
  });
  assert.equal(exchanges.length, 5);
  assert.ok(exchanges.every(({ upMs, downMs, roundTripMs }) => upMs > 0 && downMs > 0 && roundTripMs >= upMs + downMs));
  const task = { wireBytes: 200, count: 50, intervalMs: 1, settleMs: 200, maxBurst: 1 };
  for (const direction of ['up', 'down'] as const) {
    const arrivals = await probe.packets?.datagrams({ ...task, direction });
    assert.deepEqual(
      arrivals?.map(({ sequence }) => sequence),
      Array.from({ length: 50 }, (_, i) => i),
    );
    assert.ok(arrivals?.every(({ sentMs, arrivedMs }) => arrivedMs > sentMs));
  }
  assert.equal((await probe.packets?.echo(task))?.length, 50);
  await assert.rejects(probe.packets?.echo({ ...task, wireBytes: 10 }) ?? Promise.resolve(), { kind: 'invalid' });
  await probe.close();
  await assert.rejects(probe.exchange({ upBytes: 48, downBytes: 48, count: 1, intervalMs: 0, timeoutMs: 1000 }), {
    kind: 'missing',
  });
  await assert.rejects(open.probe(['edge-cloud', 'edge-cloud']), { kind: 'invalid' });
});
