import assert from 'node:assert/strict';
import { before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ComposeTestbed } from '../support/compose-testbed.js';
import { openTestbed, resetTestbed } from '../support/shared-testbed.js';

let testbed: ComposeTestbed;

before(async () => {
  testbed = await openTestbed();
  await testbed.buildTools();
});

beforeEach(() => resetTestbed(testbed));

/** Round trips as a program sees them (ping -U), in ms. */
async function ping(from: string, to: string, ...options: readonly string[]): Promise<number[]> {
  const command = ['bash', '-c', `ping -n -U ${options.join(' ')} ${to} || true`];
  return roundTrips(await testbed.tool(from, command));
}

function roundTrips(said: string): number[] {
  return [...said.matchAll(/ time=([\d.]+) ms/g)].map(([, ms]) => Number(ms));
}

interface Report {
  readonly ok: boolean;
  readonly figures: readonly {
    readonly link: string;
    readonly direction: string;
    readonly figure: string;
    readonly ok: boolean;
  }[];
}

test('tierbed link verify finds both links, and the two in a row, as they are set', async (t) => {
  // What else the machine does may only ever make a link worse, so one good time is enough.
  let said: Report | undefined;
  for (let attempt = 1; attempt <= 4 && !said?.ok; attempt++) {
    const { code, stdout, stderr } = await testbed.tierbed(['link', 'verify', '--json']);
    assert.ok([0, 5].includes(code), stderr);
    said = JSON.parse(stdout) as Report;
    assert.equal(code === 0, said.ok);
    t.diagnostic(`attempt ${attempt}: ${said.figures.filter(({ ok }) => !ok).length} figures out of tolerance`);
  }
  assert.ok(said?.ok, JSON.stringify(said?.figures.filter(({ ok }) => !ok)));
  for (const link of ['mobile-edge', 'edge-cloud', 'mobile-edge + edge-cloud']) {
    for (const figure of ['delayMs', 'messageMs', 'rateMbps', 'lossPct']) {
      for (const direction of ['up', 'down']) {
        assert.ok(
          said.figures.some((f) => f.link === link && f.figure === figure && f.direction === direction),
          `${link} ${figure} ${direction}`,
        );
      }
    }
  }
});

test('what link set changes is what ping measures, and what is not named stays', async () => {
  const asItWas = await ping('mobile', 'edge', '-c', '5', '-i', '0.2');
  assert.equal(asItWas.length, 5);
  assert.ok(Math.min(...asItWas) >= 10, `5 ms each way: ${asItWas}`);
  await testbed.must('link', 'set', 'mobile-edge', '--delay-ms', '60', '--direction', 'up');
  const slower = await ping('mobile', 'edge', '-c', '5', '-i', '0.2');
  assert.ok(Math.min(...slower) >= 65, `60 ms up and 5 ms down: ${slower}`);
  const both = await ping('mobile', 'cloud', '-c', '5', '-i', '0.2');
  assert.ok(Math.min(...both) >= 95, `over both links: ${both}`);

  await testbed.must('link', 'set', 'mobile-edge', '--rate-mbps', '1', '--direction', 'down');
  const narrow = await ping('mobile', 'edge', '-c', '5', '-i', '0.2', '-s', '1400');
  // 1442 bytes on the wire at 1 Mbit/s are 11.5 ms; up, at 50 Mbit/s, 0.2.
  assert.ok(Math.min(...narrow) >= 60 + 5 + 11.5 + 0.2, `${narrow}`);
  const { links } = await testbed.json<{ links: readonly { name: string; up: object; down: object }[] }>(
    'link',
    'show',
  );
  assert.deepEqual(
    links.find(({ name }) => name === 'mobile-edge'),
    {
      name: 'mobile-edge',
      up: { rateMbps: 50, delayMs: 60, jitterMs: 0, lossPct: 0, queueBytes: 655360 },
      down: { rateMbps: 1, delayMs: 5, jitterMs: 0, lossPct: 0, queueBytes: 655360 },
    },
  );
});

test('a link loses what it is set to lose', async () => {
  await testbed.must('link', 'set', 'edge-cloud', '--loss-pct', '50', '--direction', 'up');
  const half = await ping('edge', 'cloud', '-c', '200', '-i', '0.02', '-W', '1');
  // By chance fewer than 60 or more than 140 of 200 come through less than once in 10^7 times.
  assert.ok(half.length >= 60 && half.length <= 140, `${half.length} of 200`);
  await testbed.must('link', 'set', 'edge-cloud', '--loss-pct', '100', '--direction', 'up');
  assert.deepEqual(await ping('edge', 'cloud', '-c', '10', '-i', '0.05', '-W', '1'), []);
});

test('a link that is down lets nothing pass, and is as it was when it is up again', async () => {
  await testbed.must('link', 'down', 'edge-cloud');
  assert.deepEqual(await ping('edge', 'cloud', '-c', '5', '-i', '0.1', '-W', '1'), []);
  await testbed.must('link', 'up', 'edge-cloud');
  const again = await ping('edge', 'cloud', '-c', '5', '-i', '0.1', '-W', '2');
  assert.equal(again.length, 5);
  assert.ok(Math.min(...again) >= 30, `${again}`);
});

test('what cannot be is refused, with the fix, and changes nothing', async () => {
  for (const args of [
    ['link', 'set', 'mobile-egde', '--delay-ms', '1'],
    ['link', 'set', 'mobile-edge', '--rate-mbps', '0'],
    ['link', 'set', 'mobile-edge', '--delay-ms', '-5'],
    ['link', 'set', 'mobile-edge', '--loss-pct', '101'],
  ]) {
    const { code, stderr } = await testbed.tierbed(args);
    assert.ok(code !== 0, args.join(' '));
    assert.match(stderr, /fix: |Did you mean/, args.join(' '));
  }
  const still = await ping('mobile', 'edge', '-c', '3', '-i', '0.2');
  assert.ok(still.length === 3 && Math.min(...still) >= 10, `${still}`);
});

/** While `during` goes on, a tier is asked for from another one without a break. Gives round trips and connections, in ms. */
async function reachDuring(
  from: string,
  to: string,
  during: () => Promise<void>,
): Promise<{ pings: number[]; connects: number[] }> {
  const names = { ping: `${testbed.project}-ping`, connect: `${testbed.project}-connect` };
  const remove = (): Promise<unknown> =>
    testbed.exec('docker', ['rm', '--force', ...Object.values(names)]).catch(() => {});
  await remove();
  const options = ['run', '--rm', '--init', '--network', `container:${await testbed.container(`${from}-link`)}`];
  // Both end by a signal; what they said until then is what counts.
  const said = (args: readonly string[]): Promise<string> =>
    testbed.exec('docker', [...options, ...args]).then(
      ({ stdout }) => stdout,
      (error: { stdout: string }) => error.stdout,
    );
  const pinging = said([
    ...['--name', names.ping, 'tierbed-tools'],
    ...['ping', '-n', '-U', '-i', '0.01', '-W', '1', '-w', '600', to],
  ]);
  const connecting = said([
    ...['--name', names.connect, '--entrypoint', 'node', testbed.env.TIERBED_IMAGE as string],
    ...['-e', CONNECT, to],
  ]);
  try {
    await during();
  } finally {
    await testbed.exec('docker', ['kill', '--signal', 'INT', names.ping]).catch(() => {});
    await testbed.exec('docker', ['kill', names.connect]).catch(() => {});
    await remove();
  }
  return { pings: roundTrips(await pinging), connects: roundTrips(await connecting) };
}

/** Connects to a tier's data plane again and again, and prints how long each took that was accepted. */
const CONNECT = `
const { connect } = require('node:net');
const once = () => new Promise((resolve) => {
  const from = performance.now();
  const socket = connect(8001, process.argv[1]);
  const end = (answered) => {
    if (answered) console.log(' time=' + (performance.now() - from).toFixed(3) + ' ms');
    socket.destroy();
    resolve();
  };
  socket.setTimeout(1000, () => end(false));
  socket.once('connect', () => end(true));
  socket.once('error', () => end(false));
});
(async () => { for (;;) { await once(); await new Promise((r) => setTimeout(r, 5)); } })();
`;

for (const [service, from, to] of [
  ['edge', 'mobile', 'edge'],
  ['edge-link', 'mobile', 'edge'],
  ['mobile-link', 'edge', 'mobile'],
] as const) {
  test(`${service} killed and back again: ${to} is never reached faster than over the link, not once`, async (t) => {
    await testbed.must('link', 'set', 'mobile-edge', '--delay-ms', '30');
    const before = await testbed.inspect(service);
    const { pings, connects } = await reachDuring(from, to, async () => {
      await sleep(2000);
      await testbed.crash(service);
      await testbed.eventually(`${service} after it was killed`, async () => {
        const { State } = await testbed.inspect(service);
        return State.Running && State.StartedAt !== before.State.StartedAt;
      });
      // The orchestrator notices, puts the tier into the new namespace and sets the links.
      await testbed.eventually(`${to}'s data plane over the link`, async () => {
        const script = `exec 3<>/dev/tcp/${to}/8001 && echo open`;
        return (await testbed.compose('exec', '-T', from, 'timeout', '5', 'bash', '-c', script)).includes('open');
      });
      await sleep(2000);
    });
    const [ping, connection] = [Math.min(...pings), Math.min(...connects)];
    t.diagnostic(`${pings.length} round trips, ${connects.length} connections; fastest ${ping} and ${connection} ms`);
    assert.ok(pings.length > 10 && connects.length > 2, `${pings.length} and ${connects.length}`);
    // The namespace of an agent that begins anew is empty at first: the kernel may answer before there is anything to reach.
    if (service === 'edge') assert.ok(ping >= 60, `a round trip took ${ping} ms`);
    assert.ok(connection >= 60, `a connection took ${connection} ms`);
  });
}
