import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { ComposeTestbed } from '../support/compose-testbed.js';
import { openTestbed } from '../support/shared-testbed.js';

const TIERS = ['mobile', 'edge', 'cloud'] as const;
type Tier = (typeof TIERS)[number];
const CONTROL: Readonly<Record<Tier, string>> = { mobile: '3.10', edge: '3.20', cloud: '3.30' };
const [DATA, METRICS, NODE, AGENT, AGENT_METRICS] = [8001, 8002, 8003, 8004, 8005];

let testbed: ComposeTestbed;
let net: string;

before(async () => {
  testbed = await openTestbed();
  ({ net } = testbed.options);
  await testbed.buildTools();
});

/** How a connection from a service's container to each address (HOST:PORT) ends: `open`, or something else. */
async function connectTo(service: string, addresses: readonly string[]): Promise<Record<string, string>> {
  // All at once; what gives no answer is given up.
  const script = `for a in "$@"; do (timeout 3 bash -c "exec 3<>/dev/tcp/\${a%:*}/\${a##*:}" 2>/dev/null
    code=$?; case $code in 0) echo "$a open";; 124) echo "$a silent";; *) echo "$a refused";; esac) & done; wait`;
  const said = await testbed.compose('exec', '-T', service, 'bash', '-c', script, 'bash', ...addresses);
  return Object.fromEntries(
    said
      .trim()
      .split('\n')
      .map((line) => line.split(' ') as [string, string]),
  );
}

test('in every tier the names of tiers lead to data planes, and those answer', async () => {
  const expected: Readonly<Record<Tier, Readonly<Record<Tier, string>>>> = {
    mobile: { mobile: '1.10', edge: '1.20', cloud: '1.30' },
    edge: { mobile: '1.10', edge: '1.20', cloud: '2.30' },
    cloud: { mobile: '2.10', edge: '2.20', cloud: '2.30' },
  };
  for (const from of TIERS) {
    const said = await testbed.compose('exec', '-T', from, 'getent', 'ahosts', ...TIERS);
    const found = new Set(said.split('\n').flatMap((line) => line.split(/\s+/)[0] || []));
    assert.deepEqual([...found].sort(), TIERS.map((to) => `${net}.${expected[from][to]}`).sort(), from);
    const ends = await connectTo(from, [`mobile:${DATA}`, `edge:${DATA}`, `cloud:${DATA}`]);
    assert.deepEqual(ends, { [`mobile:${DATA}`]: 'open', [`edge:${DATA}`]: 'open', [`cloud:${DATA}`]: 'open' }, from);
  }
});

test('a tier reaches nothing of another tier over the control network', async () => {
  for (const from of TIERS) {
    const others = TIERS.filter((tier) => tier !== from).flatMap((tier) =>
      [DATA, METRICS, NODE, AGENT, AGENT_METRICS].map((port) => `${net}.${CONTROL[tier]}:${port}`),
    );
    const ends = await connectTo(from, others);
    for (const [address, end] of Object.entries(ends)) assert.notEqual(end, 'open', `${from} to ${address}`);
  }
});

test('the orchestrator reaches control planes and metrics of all tiers, and no data plane', async () => {
  for (const tier of TIERS) {
    const at = (port: number): string => `${net}.${CONTROL[tier]}:${port}`;
    const ends = await connectTo('orchestrator', [DATA, METRICS, NODE, AGENT, AGENT_METRICS].map(at));
    for (const port of [METRICS, NODE, AGENT, AGENT_METRICS]) assert.equal(ends[at(port)], 'open', at(port));
    assert.notEqual(ends[at(DATA)], 'open', at(DATA));
  }
});

test('nothing of control or metrics answers over a link', async () => {
  const far: Readonly<Record<Tier, readonly Tier[]>> = {
    mobile: ['edge', 'cloud'],
    edge: ['mobile', 'cloud'],
    cloud: ['mobile', 'edge'],
  };
  for (const from of TIERS) {
    const addresses = far[from].flatMap((to) => [METRICS, NODE, AGENT, AGENT_METRICS].map((port) => `${to}:${port}`));
    const ends = await connectTo(from, addresses);
    for (const [address, end] of Object.entries(ends)) assert.notEqual(end, 'open', `${from} to ${address}`);
  }
});

test('mobile reaches cloud through edge alone, one hop further, and back the same way', async () => {
  const ttl = async (from: Tier, to: Tier): Promise<string | undefined> =>
    / ttl=(\d+) /.exec(await testbed.tool(from, ['ping', '-c', '1', '-W', '5', to]))?.[1];
  for (const [from, to, expected] of [
    ['mobile', 'edge', '64'],
    ['edge', 'cloud', '64'],
    ['mobile', 'cloud', '63'],
    ['cloud', 'mobile', '63'],
  ] as const) {
    assert.equal(await ttl(from, to), expected, `${from} to ${to}`);
  }
  // A packet that may take one hop only dies in edge.
  const short = ['bash', '-c', 'ping -n -t 1 -c 1 -W 5 cloud || true'];
  assert.match(await testbed.tool('mobile', short), /Time to live exceeded/);
  // Cloud's own address in its network leads nowhere from mobile, and the other way round.
  assert.notEqual((await connectTo('mobile', [`${net}.2.30:${DATA}`]))[`${net}.2.30:${DATA}`], 'open');
  assert.notEqual((await connectTo('cloud', [`${net}.1.10:${DATA}`]))[`${net}.1.10:${DATA}`], 'open');
});

test('with either link down mobile does not reach cloud', async (t) => {
  t.after(async () => {
    for (const link of ['mobile-edge', 'edge-cloud']) await testbed.must('link', 'up', link);
  });
  const reaches = async (to: Tier): Promise<boolean> =>
    (await connectTo('mobile', [`${to}:${DATA}`]))[`${to}:${DATA}`] === 'open';
  await testbed.must('link', 'down', 'edge-cloud');
  assert.deepEqual([await reaches('edge'), await reaches('cloud')], [true, false]);
  await testbed.must('link', 'up', 'edge-cloud');
  await testbed.must('link', 'down', 'mobile-edge');
  assert.deepEqual([await reaches('edge'), await reaches('cloud')], [false, false]);
  await testbed.must('link', 'up', 'mobile-edge');
  assert.deepEqual([await reaches('edge'), await reaches('cloud')], [true, true]);
});

test('nothing leaves a tier, an agent or the gate to the outside', async () => {
  const outside = ['192.0.2.1:80', '1.1.1.1:443', '8.8.8.8:53'];
  for (const service of [...TIERS, 'edge-link', 'gate']) {
    const ends = await connectTo(service, outside);
    for (const address of outside) assert.notEqual(ends[address], 'open', `${service} to ${address}`);
  }
});
