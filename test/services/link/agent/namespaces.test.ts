// Three agents with a kernel: needs root. The driver of interfaces is whichever works here.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { openAgentLinks } from '../../../../services/link/agent-links.js';
import type { DirectionSettings, LinkSettings, OpenLinks } from '../../../../services/link/types.js';
import { verifyLinks } from '../../../../services/link/verify/verify.js';
import { connect, LinkAgentClient } from '../../../../services/rpc/client.js';
import { type RunningAgent, TestbedNamespaces, whyNot } from './testbed-namespaces.js';

const TIERS = ['mobile', 'edge', 'cloud'] as const;
type Tier = (typeof TIERS)[number];

function link(name: LinkSettings['name'], settings: Partial<DirectionSettings> = {}): LinkSettings {
  const direction = { rateMbps: 0, delayMs: 0, jitterMs: 0, queueBytes: 262_144, ...settings };
  return { name, up: direction, down: direction };
}

/** Without -U, ping takes the time at which the kernel saw the answer: before a driver on the receiver's side holds it. */
const USER_TIME = ['-U', '-q', '-i', '0.2'];

const skip = whyNot() ?? false;

describe('three agents in three namespaces', { skip, timeout: 300_000 }, () => {
  const bed = new TestbedNamespaces();
  const agents = {} as Record<Tier, RunningAgent>;
  const net = (network: number, host: number) => `${bed.prefix}.${network}.${host}`;
  const pings = (from: Tier, address: string) =>
    bed.succeeds(from, 'ping', '-q', '-c', '2', '-i', '0.2', '-W', '1', address);
  /** Whether a connection to a port comes about. */
  const connects = (from: Tier, address: string, port: number) =>
    bed.succeeds(from, 'timeout', '2', 'bash', '-c', `exec 3<>/dev/tcp/${address}/${port}`);
  const addresses = () => ({
    mobile: agents.mobile.control,
    edge: agents.edge.control,
    cloud: agents.cloud.control,
  });
  let links: OpenLinks;
  let restarted: (tier: string) => void = () => {};

  before(async () => {
    bed.open();
    await Promise.all(
      TIERS.map(async (tier) => {
        agents[tier] = await bed.agent(tier);
      }),
    );
    // What a node would listen on, on every address there is.
    const listener =
      "require('net').createServer(s => s.end('x')).listen(8001, '0.0.0.0', () => console.log('listens'))";
    for (const tier of TIERS) {
      const node = bed.spawn(tier, process.execPath, '-e', listener);
      await once(node.stdout as NodeJS.ReadableStream, 'data');
    }
  });

  after(() => bed.close());

  test('nothing passes before the links are set', () => {
    assert.equal(new Set(TIERS.map((tier) => agents[tier].driver)).size, 1);
    assert.equal(pings('mobile', net(1, 20)), false);
    assert.equal(pings('mobile', net(1, 30)), false);
    assert.equal(pings('cloud', net(2, 20)), false);
  });

  test('set, tiers reach each other over the links alone', async () => {
    const settings = [link('mobile-edge', { delayMs: 20 }), link('edge-cloud', { delayMs: 30 })];
    links = await openAgentLinks(addresses(), settings, new AbortController().signal, {
      watchEveryMs: 200,
      onRestart: (tier) => restarted(tier),
    });
    assert.equal(links.driver.name, agents.edge.driver);
    assert.deepEqual(await links.inForce(), settings);
    if (links.driver.name === 'proxy') return;
    assert.ok(pings('mobile', net(1, 20)));
    assert.ok(connects('mobile', net(1, 20), 8001));
    // Cloud as mobile sees it, and mobile as cloud sees it.
    assert.ok(connects('mobile', net(1, 30), 8001));
    assert.ok(connects('cloud', net(2, 10), 8001));
    const times = bed.inside('mobile', 'ping', ...USER_TIME, '-c', '3', net(1, 30));
    const leastMs = Number(/= ([\d.]+)\//.exec(times)?.[1]);
    assert.ok(leastMs > 99.9, `both links, both ways, take 100 ms at least: ${leastMs}`);
    // The real addresses of the network behind edge are nobody's business.
    assert.equal(pings('mobile', net(2, 30)), false);
  });

  test('the control network leads from no tier to another, and to no data port', () => {
    for (const [from, to] of [
      ['mobile', 20],
      ['mobile', 30],
      ['edge', 30],
      ['cloud', 10],
    ] as const) {
      assert.equal(pings(from, net(3, to)), false, `${from} reaches ${net(3, to)}`);
      assert.equal(connects(from, net(3, to), 8004), false, `${from} reaches ${net(3, to)}:8004`);
    }
    assert.equal(bed.succeedsHere('timeout', '2', 'bash', '-c', `exec 3<>/dev/tcp/${net(3, 20)}/8001`), false);
    assert.ok(bed.succeedsHere('timeout', '2', 'bash', '-c', `exec 3<>/dev/tcp/${net(3, 20)}/8004`));
    // Nor is there a way around over a link.
    bed.inside('mobile', 'ip', 'route', 'add', `${net(3, 30)}/32`, 'via', net(1, 20));
    assert.equal(pings('mobile', net(3, 30)), false);
    bed.inside('mobile', 'ip', 'route', 'del', `${net(3, 30)}/32`);
  });

  test('metrics say what is in force, and the agent is ready', async () => {
    const base = `http://${agents.edge.metrics}`;
    assert.equal((await fetch(`${base}/readyz`)).status, 200);
    const text = await (await fetch(`${base}/metrics`)).text();
    assert.match(text, /tierbed_link_delay_seconds\{link="edge-cloud",direction="(up|down)",tier="edge"\} 0\.03\n/);
    assert.match(text, /tierbed_link_packets_total\{link="mobile-edge",direction="(up|down)",tier="edge"\} \d+\n/);
    assert.match(text, /tierbed_tcp_retransmitted_segments_total\{tier="edge"\} \d+\n/);
  });

  test('the links measure as what they are set to, and as nothing else', async () => {
    const settings = [
      link('mobile-edge', { rateMbps: 10, delayMs: 15 }),
      link('edge-cloud', { rateMbps: 5, delayMs: 10, lossPct: 5 }),
    ];
    for (const each of settings) await links.set(each);
    // A machine that does other things at the same time is not what is tested here.
    const wide = { toleranceMs: 20, tolerancePct: 5, attempts: 10, bulkMs: 300 };
    const report = await verifyLinks(links, settings, wide);
    assert.deepEqual(
      report.figures.filter(({ ok }) => !ok),
      [],
    );
    const said = [link('mobile-edge', { rateMbps: 20, delayMs: 15 }), link('edge-cloud', { rateMbps: 5, delayMs: 10 })];
    const wrong = await verifyLinks(links, said, { ...wide, attempts: 1 });
    const out = wrong.figures
      .filter(({ ok }) => !ok)
      .map(({ link: name, direction, figure }) => `${name} ${direction} ${figure}`);
    assert.ok(out.includes('mobile-edge up rateMbps') && out.includes('mobile-edge down rateMbps'), out.join());
    if (links.driver.name !== 'proxy') assert.ok(out.includes('edge-cloud up lossPct'), out.join());
  });

  test('a blocked link lets nothing through', async () => {
    await links.set(link('mobile-edge', { delayMs: 1 }));
    await links.set({ ...link('edge-cloud'), blocked: true });
    if (links.driver.name !== 'proxy') assert.equal(pings('mobile', net(1, 30)), false);
    const report = await verifyLinks(
      links,
      [link('mobile-edge', { delayMs: 1 }), { ...link('edge-cloud'), blocked: true }],
      {
        attempts: 1,
      },
    );
    const figures = report.figures.filter(({ link: name }) => name.includes('edge-cloud'));
    assert.deepEqual(
      figures.map(({ figure, ok }) => [figure, ok]),
      [
        ['lossPct', true],
        ['lossPct', true],
      ],
    );
    await links.set(link('edge-cloud'));
  });

  test('an agent that is killed leaves nothing unshaped; its successor is set as it was', async () => {
    await links.set(link('mobile-edge', { delayMs: 40 }));
    const told = new Promise<string>((resolve) => {
      restarted = resolve;
    });
    agents.edge.child.kill('SIGKILL');
    await agents.edge.ended;
    if (links.driver.name !== 'proxy') {
      const trip = /= ([\d.]+)\//.exec(bed.outputOf('mobile', 'ping', ...USER_TIME, '-c', '3', '-W', '1', net(1, 20)));
      assert.ok(trip === null || Number(trip[1]) > 79.9, `a round trip of ${trip?.[1]} ms over twice 40`);
    }
    agents.edge = await bed.agent('edge');
    assert.equal(await told, 'edge');
    assert.deepEqual(await links.inForce(), [link('mobile-edge', { delayMs: 40 }), link('edge-cloud')]);
    if (links.driver.name !== 'proxy') assert.ok(connects('mobile', net(1, 30), 8001));
  });

  test('closed, the links are shut', async () => {
    await links.close();
    if (links.driver.name !== 'proxy') assert.equal(pings('mobile', net(1, 20)), false);
    const client = new LinkAgentClient(connect(agents.mobile.control));
    const { inForce } = await client.describe();
    client.channel.close();
    assert.ok(inForce.length === 0 || inForce.every(({ settingsJson }) => JSON.parse(settingsJson).blocked === true));
  });

  test('SIGTERM ends an agent in good order: its rules are gone, its links stay shut', async () => {
    agents.edge.child.kill('SIGTERM');
    assert.equal(await agents.edge.ended, 0);
    const tables = ['iptables-legacy-save', 'iptables-nft-save']
      .map((program) => bed.outputOf('edge', program))
      .join('\n');
    assert.doesNotMatch(tables, /NFQUEUE|DNAT|SNAT/);
    assert.match(tables, /-o eth1 -j DROP/);
    assert.doesNotMatch(bed.inside('edge', 'ip', 'address'), new RegExp(`${net(1, 30)}|${net(2, 10)}`));
    assert.equal(pings('mobile', net(1, 20)), false);
  });
});

test('where the kernel can do nothing, agents relay, and their links measure as what they are set to', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const bed = new TestbedNamespaces();
  t.after(() => bed.close());
  bed.open();
  const [mobile, edge, cloud] = (await Promise.all(TIERS.map((tier) => bed.agent(tier, '--driver', 'proxy')))) as [
    RunningAgent,
    RunningAgent,
    RunningAgent,
  ];
  const settings = [
    link('mobile-edge', { rateMbps: 20, delayMs: 10 }),
    link('edge-cloud', { rateMbps: 5, delayMs: 20 }),
  ];
  const addresses = { mobile: mobile.control, edge: edge.control, cloud: cloud.control };
  const links = await openAgentLinks(addresses, settings, new AbortController().signal);
  t.after(() => links.close());
  assert.equal(links.driver.name, 'proxy');
  for (const address of links.addresses.values()) assert.match(address, /^127\.0\.0\.1:\d+$/);
  const report = await verifyLinks(links, settings, { toleranceMs: 20, tolerancePct: 5, attempts: 10, bulkMs: 300 });
  assert.deepEqual(
    report.figures.filter(({ ok }) => !ok),
    [],
  );
  assert.ok(
    report.figures.some(({ link: name, figure }) => name === 'mobile-edge + edge-cloud' && figure === 'rateMbps'),
  );
  assert.ok(((await links.stats()).get('edge-cloud')?.upBytes ?? 0) > 100_000);
});
