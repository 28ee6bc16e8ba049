// npm run bench:link [-- PART]: what the links of the testbed do, as ping and iperf3 see it in the containers. Delays by
// rates by the drivers that this kernel can run; the shaper's processor time; jitter and losses against their distributions;
// and what the published study's own `tc` line does where the kernel has tbf. PART limits the rows and writes no result.
import Docker from 'dockerode';
import { standardDeviation } from '../analysis/stats/moments.js';
import { Random } from '../base/random.js';
import { standardDraw } from '../services/link/shaping/jitter.js';
import { gilbert } from '../services/link/shaping/loss.js';
import type { JitterDistribution } from '../services/link/types.js';
import { SEGMENT_BYTES, wireBytes } from '../services/link/wire.js';
import { ComposeTestbed } from '../test/support/compose-testbed.js';
import { asPingPrints, distance, meanRun, parseIperf, parsePing, parseSockperf } from './link-tools.js';
import { atMost, type Figure, median, type Row, report } from './report.js';

const DELAYS_MS = [0, 5, 20, 50, 100];
const RATES_MBPS = [1, 10, 100, 500];
const DISTRIBUTIONS: readonly JitterDistribution[] = ['normal', 'uniform', 'pareto', 'paretonormal'];

const PINGS = 25;
const SECONDS = 5;
/** Not counted: TCP's slow start, and the queue's filling. */
const OMITTED_SECONDS = 6;
/** Links keep the order of packets: one that pareto's tail holds back must not hold the next, so they are far apart. */
const JITTER_PING_INTERVAL_S = 0.05;
/** The answer to ICMP's echo of 56 bytes: 8 of ICMP, 20 of IPv4, 14 of Ethernet. */
const PING_WIRE_BYTES = 98;
/** Of the CPUs of the container that shapes what arrives at edge. */
const CPU_RATE_MBPS = 100;

const testbed = new ComposeTestbed({ project: 'tierbed-bench', net: '10.243', apiPort: 37070, prometheusPort: 39090 });
const docker = new Docker();
const part = process.argv[2];
const wanted = (name: string): boolean => !part || name.includes(part);
const say = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

interface Settings {
  readonly rateMbps?: number;
  readonly delayMs?: number;
  readonly jitterMs?: number;
  readonly jitterDistribution?: JitterDistribution;
  readonly lossPct?: number;
  readonly lossBurstPackets?: number;
  readonly queueBytes?: number;
}

/** Sets mobile-edge, both directions or one; what is not named becomes nothing. */
async function setLink(settings: Settings, direction: 'up' | 'down' | 'both' = 'both'): Promise<void> {
  const { rateMbps = 0, delayMs = 0, jitterMs = 0, jitterDistribution = 'normal', lossPct = 0 } = settings;
  const { lossBurstPackets, queueBytes = 1_000_000 } = settings;
  await testbed.must(
    // A preset first: so nothing is left of what was set before.
    ...['link', 'set', 'mobile-edge', '--direction', direction, '--preset', 'ethernet'],
    ...['--rate-mbps', rateMbps === 0 ? 'unlimited' : String(rateMbps)],
    ...['--delay-ms', String(delayMs), '--jitter-ms', String(jitterMs), '--distribution', jitterDistribution],
    ...['--loss-pct', String(lossPct), '--queue-bytes', String(queueBytes)],
    ...(lossBurstPackets === undefined ? [] : ['--loss-burst', String(lossBurstPackets)]),
  );
}

function ping(count: number, intervalS: number): Promise<string> {
  // ping ends with 1 when something was lost.
  return testbed.tool('mobile', ['sh', '-c', `ping -n -U -c ${count} -i ${intervalS} -W 2 edge || true`]);
}

async function iperf(rateMbps: number, delayMs: number, reverse: boolean): Promise<number> {
  // One stream's window may be smaller than what a long fast link holds.
  const streams = Math.min(8, Math.ceil((rateMbps * delayMs) / 5000) || 1);
  // iperf3 counts whole blocks: those of 8 ms, so that a second has many.
  const blockBytes = Math.min(131_072, rateMbps * 1000);
  const times = ['-t', String(SECONDS), '-O', String(OMITTED_SECONDS), '-P', String(streams), '-l', String(blockBytes)];
  const receiver = reverse ? ['-R'] : ['--get-server-output'];
  return parseIperf(await testbed.tool('mobile', ['iperf3', '-c', 'edge', '-p', '5201', ...times, ...receiver, '-J']));
}

/** Nanoseconds of processor time that a service's container has taken. */
async function cpuNs(service: string): Promise<number> {
  const stats = await docker.getContainer(await testbed.container(service)).stats({ stream: false, 'one-shot': true });
  return stats.cpu_stats.cpu_usage.total_usage;
}

async function measureCell(driver: string, delayMs: number, rateMbps: number): Promise<Row> {
  const queueBytes = Math.max(65_536, Math.round((rateMbps * 1000 * Math.max(delayMs * 2, 20)) / 8));
  await setLink({ rateMbps, delayMs, queueBytes });
  const { tripsMs } = parsePing(await ping(PINGS, 0.1));
  const serialMs = (PING_WIRE_BYTES * 8) / (rateMbps * 1000);
  const oneWayMs = median(tripsMs) / 2 - serialMs;
  const idealMbps = (rateMbps * SEGMENT_BYTES) / wireBytes(SEGMENT_BYTES);
  const before = await cpuNs('edge-link');
  const startMs = performance.now();
  const upMbps = await iperf(rateMbps, delayMs, false);
  const cpuShare = (await cpuNs('edge-link')) - before;
  const tookNs = (performance.now() - startMs) * 1e6;
  const downMbps = await iperf(rateMbps, delayMs, true);
  return {
    what: 'delay and rate',
    driver,
    delayMs,
    rateMbps,
    pingOneWayMs: oneWayMs,
    delayErrorMs: oneWayMs - delayMs,
    idealMbps,
    iperfUpMbps: upMbps,
    iperfDownMbps: downMbps,
    rateErrorPct: 100 * Math.max(Math.abs(upMbps / idealMbps - 1), Math.abs(downMbps / idealMbps - 1)),
    shaperCorePct: rateMbps === CPU_RATE_MBPS ? (100 * cpuShare) / tookNs : null,
  };
}

async function measureMessage(driver: string): Promise<Row> {
  await setLink({ rateMbps: 10 });
  const server = await testbed.serve('edge', ['sockperf', 'server', '--tcp', '-p', '5301']);
  try {
    const command = ['sockperf', 'ping-pong', '--tcp', '-i', 'ADDRESS', '-p', '5301', '-m', '10000', '-t', '3'];
    const shell = command.join(' ').replace('ADDRESS', '$(getent hosts edge | cut -d" " -f1)');
    const measuredMs = parseSockperf(await testbed.tool('mobile', ['sh', '-c', `${shell} 2>&1`]));
    const idealMs = (wireBytes(10_000) * 8) / 10_000;
    return {
      what: '10 kB at 10 Mbit/s',
      driver,
      idealMs,
      sockperfMs: measuredMs,
      messageErrorMs: measuredMs - idealMs,
    };
  } finally {
    await server.stop();
  }
}

async function measureJitter(driver: string, jitterDistribution: JitterDistribution): Promise<Row> {
  const [delayMs, jitterMs, count] = [30, 2, 600];
  const withoutJitter = async (): Promise<readonly number[]> => {
    await setLink({ delayMs });
    return parsePing(await ping(count / 2, JITTER_PING_INTERVAL_S)).tripsMs;
  };
  const before = await withoutJitter();
  await setLink({ delayMs, jitterMs, jitterDistribution }, 'up');
  const { tripsMs } = parsePing(await ping(count, JITTER_PING_INTERVAL_S));
  const rest = [...before, ...(await withoutJitter())];
  const random = new Random(1);
  // Each trip without jitter, and a draw on top: so that what the containers add of their own is not held against the link.
  const expected = rest.flatMap((ms) =>
    Array.from({ length: 100 }, () => asPingPrints(ms + jitterMs * standardDraw(jitterDistribution, random))),
  );
  return {
    what: `jitter ${jitterDistribution}`,
    driver,
    delayMs,
    jitterMs,
    offsetMs: median(tripsMs) - median(expected),
    restSdMs: standardDeviation(rest),
    sdMs: standardDeviation(tripsMs),
    // Kolmogorov's distance that 1 % of true samples exceed.
    distance: distance(tripsMs, expected),
    distanceBound: 1.63 / Math.sqrt(tripsMs.length),
  };
}

async function measureLoss(driver: string, lossPct: number, lossBurstPackets: number | undefined): Promise<Row> {
  const count = 4000;
  await setLink({ lossPct, ...(lossBurstPackets !== undefined && { lossBurstPackets }) }, 'up');
  const { seen } = parsePing(await ping(count, 0.002));
  const lost = count - seen.length;
  const share = lossPct / 100;
  // A Markov chain of two states: what follows one another is alike, so the share varies more than independent draws do.
  const { enter, leave } = gilbert(lossPct, lossBurstPackets ?? 1);
  const spread = lossBurstPackets === undefined ? 1 : (2 - enter - leave) / (enter + leave);
  const bound = 2.58 * Math.sqrt(count * share * (1 - share) * Math.max(1, spread));
  return {
    what: `loss ${lossPct} %${lossBurstPackets === undefined ? '' : ` in runs of ${lossBurstPackets}`}`,
    driver,
    expectedLost: count * share,
    lost,
    lostBound: bound,
    lossHolds: Math.abs(lost - count * share) <= bound,
    meanRun: meanRun(seen),
  };
}

/** What the published study's line does to a transfer: `tc` in a namespace of containers of its own, without any driver. */
async function measurePublished(): Promise<Row> {
  const line = 'tc qdisc add dev eth0 root tbf rate 200mbit burst 25mb latency 50ms';
  const name = 'tierbed-bench-published';
  const start = async (suffix: string, command: string, capability: string[]): Promise<void> => {
    const args = ['run', '--detach', '--rm', '--init', '--name', `${name}-${suffix}`, '--network', name, ...capability];
    await testbed.exec('docker', [...args, 'tierbed-tools', 'sh', '-c', command]);
  };
  await testbed.exec('docker', ['network', 'create', name]);
  try {
    await start('far', 'iperf3 -s', []);
    await start('near', `${line} && sleep 300`, ['--cap-add', 'NET_ADMIN']);
    const client = ['exec', `${name}-near`, 'iperf3', '-c', `${name}-far`, '-n', '5M', '-J'];
    const sent = await testbed.exec('docker', client);
    const { stdout } = sent;
    return { what: `5 MB through: ${line}`, driver: 'tbf', rateMbps: 200, iperfUpMbps: parseIperf(stdout) };
  } catch (error) {
    return { what: line, driver: 'tbf', note: `not possible here: ${String(error).split('\n')[0]}` };
  } finally {
    for (const suffix of ['near', 'far'])
      await testbed.exec('docker', ['rm', '-f', `${name}-${suffix}`]).catch(() => {});
    await testbed.exec('docker', ['network', 'rm', name]).catch(() => {});
  }
}

function verdictOf(rows: readonly Row[]): Record<string, Figure> {
  const verdict: Record<string, Figure> = {};
  const numbers = (key: string): number[] => rows.flatMap((row) => (typeof row[key] === 'number' ? [row[key]] : []));
  const cells = rows.filter((row) => row.what === 'delay and rate');
  for (const driver of new Set(cells.map((row) => String(row.driver)))) {
    const mine = cells.filter((row) => row.driver === driver);
    const errors = mine.map((row) => Math.abs(row.delayErrorMs as number));
    verdict[`${driver}: delay error, ms, median over cells`] = atMost(median(errors), 0.5);
    const shares = mine
      .filter((row) => (row.delayMs as number) >= 5)
      .map((row) => (100 * Math.abs(row.delayErrorMs as number)) / (row.delayMs as number));
    verdict[`${driver}: delay error, % of what is set, median over cells`] = atMost(median(shares), 2);
    verdict[`${driver}: rate error, %, median over cells`] = atMost(
      median(mine.map((row) => row.rateErrorPct as number)),
      2,
    );
    const cpu = mine.flatMap((row) => (typeof row.shaperCorePct === 'number' ? [row.shaperCorePct] : []));
    if (cpu.length > 0)
      verdict[`${driver}: shaper at ${CPU_RATE_MBPS} Mbit/s, % of a core, median`] = atMost(median(cpu), 15);
  }
  const messages = numbers('messageErrorMs').map(Math.abs);
  if (messages.length > 0)
    verdict['10 kB at 10 Mbit/s, error in ms, worst driver'] = atMost(Math.max(...messages), 0.5);
  const jitters = rows.filter((row) => typeof row.distance === 'number');
  if (jitters.length > 0) {
    const worst = Math.max(...jitters.map((row) => (row.distance as number) / (row.distanceBound as number)));
    verdict["jitter: Kolmogorov's distance as a share of its 1 % bound, worst"] = atMost(worst, 1);
  }
  const losses = rows.filter((row) => typeof row.lossHolds === 'boolean');
  if (losses.length > 0) {
    verdict['losses outside their 99 % interval, rows'] = atMost(losses.filter((row) => !row.lossHolds).length, 0);
  }
  return verdict;
}

async function measure(driver: string): Promise<Row[]> {
  const rows: Row[] = [];
  const add = async (name: string, work: () => Promise<Row>): Promise<void> => {
    if (!wanted(name)) return;
    say(`${driver}: ${name}`);
    rows.push(await work());
  };
  const server = await testbed.serve('edge', ['iperf3', '-s', '-p', '5201']);
  try {
    for (const delayMs of DELAYS_MS) {
      for (const rateMbps of RATES_MBPS) {
        await add(`delay${delayMs} rate${rateMbps}`, () => measureCell(driver, delayMs, rateMbps));
      }
    }
    await add('message', () => measureMessage(driver));
    for (const distribution of DISTRIBUTIONS)
      await add(`jitter ${distribution}`, () => measureJitter(driver, distribution));
    await add('loss 1', () => measureLoss(driver, 1, undefined));
    await add('loss 5', () => measureLoss(driver, 5, undefined));
    await add('loss 5 burst', () => measureLoss(driver, 5, 4));
    return rows;
  } finally {
    await server.stop();
  }
}

/** What mobile's agent says of the driver that it cannot use. */
async function whyNot(): Promise<string> {
  const log = await testbed.compose('logs', '--no-log-prefix', '--tail', '20', 'mobile-link');
  const said = log.split('\n').findLast((line) => line.includes('tierbed:'));
  // Compose puts a terminal's escape sequence before it.
  return said?.slice(said.indexOf('tierbed:')) ?? 'the testbed did not come up';
}

const rows: Row[] = [];
try {
  await testbed.buildTools();
  for (const driver of ['netem', 'nfqueue']) {
    testbed.env.TIERBED_LINK_DRIVER = driver;
    say(`bringing the testbed up with ${driver}`);
    const failed = await testbed.up().then(
      () => false,
      () => true,
    );
    if (failed) {
      rows.push({ what: 'driver', driver, note: await whyNot() });
      await testbed.down();
      continue;
    }
    rows.push(...(await measure(driver)));
    await testbed.down();
  }
  if (wanted('published')) rows.push(await measurePublished());
  if (part) {
    console.table(rows);
    console.table(verdictOf(rows));
  } else await report('link', rows, verdictOf(rows));
} finally {
  await testbed.down();
}
