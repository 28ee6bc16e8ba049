import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, type TestContext, test } from 'node:test';
import { TierbedError } from '../../../base/errors.js';
import { Random } from '../../../base/random.js';
import { nowMs } from '../../../services/link/clock.js';
import type { InterfaceDriver } from '../../../services/link/interface-driver.js';
import type { DirectionSettings, LinkTrace } from '../../../services/link/types.js';
import { makePair, NamespaceWorker, type Pair, type Side, snapshot } from './namespace-pair.js';

const free: DirectionSettings = { rateMbps: 0, delayMs: 0, jitterMs: 0, queueBytes: 262_144 };

/** Clocks are read a little after something happened, never before; packets may be a few nanoseconds early. */
const ROUNDING_MS = 0.05;

/** What a medians's upper bounds allow for a machine that is busy: they tell a wrong link from a right one, no more. */
const LOOSE_MS = 25;

/** Packets that a receiver's buffer holds while its process does nothing. */
const BATCH = 100;

/** A packet of UDP on the wire: 14 bytes of Ethernet, 20 of IPv4 and 8 of UDP before its payload. */
const UDP_HEADER_BYTES = 42;

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Two namespaces with a process in each: `a` sends up to `b`, `b` sends down to `a`. */
interface Bench {
  readonly pair: Pair;
  readonly a: NamespaceWorker;
  readonly b: NamespaceWorker;
}

/**
 * What every driver of interfaces does, whatever it is made of. Times have lower bounds, which no busy machine breaks, and
 * loose upper ones for medians. It needs root, and takes about a minute.
 */
export function interfaceConformance(driver: InterfaceDriver, module: URL, exportName: string): void {
  let bench: Bench;
  before(async () => {
    const pair = makePair();
    bench = { pair, a: new NamespaceWorker(pair.a), b: new NamespaceWorker(pair.b) };
    for (const worker of [bench.a, bench.b]) await worker.call('load', module.href, exportName);
  });
  after(async () => {
    await bench?.a.kill();
    await bench?.b.kill();
    bench?.pair.remove();
  });

  const check = (what: string, body: (t: TestContext) => Promise<void>) => {
    test(`${driver.name}: ${what}`, { timeout: 120_000 }, async (t) => {
      t.after(async () => {
        for (const worker of [bench.a, bench.b]) {
          await worker.call('hangUp');
          await worker.call('close');
        }
      });
      await body(t);
    });
  };
  /** The process whose driver shapes what goes up (from a to b), or down, and the end of the wire that it does it on. */
  const shaping = (direction: 'up' | 'down'): { worker: NamespaceWorker; side: Side } =>
    (direction === 'up') === (driver.side === 'egress')
      ? { worker: bench.a, side: bench.pair.a }
      : { worker: bench.b, side: bench.pair.b };
  const shape = async (direction: 'up' | 'down', settings: Partial<DirectionSettings>) => {
    const { worker, side } = shaping(direction);
    await worker.call('open', side.interfaceName, { ...free, ...settings });
    return worker;
  };
  /** Packets from a to b: what each took, in the order of arrival, and which came. */
  const packets = async (
    { count, payloadBytes = 100, atOnce = 1, pauseMs = 10 }: Partial<PacketPlan> & { count: number },
    settleMs: number,
    from: 'a' | 'b' = 'a',
  ) => {
    const [sender, receiver, host] =
      from === 'a' ? [bench.a, bench.b, bench.pair.b.address] : [bench.b, bench.a, bench.pair.a.address];
    const port = await receiver.call('receivePackets');
    const beganMs = nowMs();
    const sent: number[] = [];
    while (sent.length < count) {
      const batch = { from: sent.length, count: Math.min(BATCH, count - sent.length), payloadBytes, atOnce, pauseMs };
      sent.push(...(await sender.call('sendPackets', { host, port, ...batch })));
      // A receiver that is not let run has room for a few hundred packets, and loses the others.
      if (sent.length < count) await receiver.call('quiet', 20);
    }
    const sendingMs = nowMs() - beganMs;
    await sleep(settleMs);
    const arrivals = await receiver.call('arrivals');
    return {
      sent,
      sendingMs,
      sequence: arrivals.map(({ sequence }) => sequence),
      tookMs: arrivals.map(({ sequence, atMs }) => atMs - (sent[sequence] as number)),
    };
  };
  const connected = async () => {
    const port = await bench.b.call('listen');
    await bench.a.call('connect', bench.pair.b.address, port);
  };
  /** How long a message of these bytes takes from a to b, on the connection that is there. */
  const messageMs = async (bytes: number): Promise<number> => {
    await bench.b.call('expectBytes', bytes);
    const sentMs = await bench.a.call('send', bytes);
    return (await bench.b.call('completeMs')) - sentMs;
  };

  check('bytes pass unchanged, both ways shaped', async () => {
    const shaped = { rateMbps: 50, delayMs: 3, jitterMs: 2 };
    await shape('up', shaped);
    await shape('down', shaped);
    const random = new Random(5);
    const data = Buffer.from(Uint32Array.from({ length: 250_000 }, () => random.uint32()).buffer);
    await connected();
    assert.equal(await bench.a.call('exchange', data), createHash('sha256').update(data).digest('hex'));
  });

  check('no packet arrives before its delay', async () => {
    await shape('up', { delayMs: 40 });
    const { tookMs, sequence } = await packets({ count: 40 }, 150);
    assert.equal(sequence.length, 40);
    assert.ok(Math.min(...tookMs) >= 40 - ROUNDING_MS, `one took ${Math.min(...tookMs)} ms`);
    assert.ok(median(tookMs) < 40 + LOOSE_MS, `the median is ${median(tookMs)} ms`);
  });

  check('nothing is faster than the rate', async () => {
    await shape('up', { rateMbps: 10, delayMs: 5, queueBytes: 1_000_000 });
    await connected();
    const tookMs = await messageMs(250_000);
    // 250,000 bytes and 173 headers at 10 Mbit/s.
    assert.ok(tookMs >= 209.1 + 5 - ROUNDING_MS, `250 kB took ${tookMs} ms`);
    assert.ok(tookMs < 209.1 * 2 + 100, `250 kB took ${tookMs} ms`);
  });

  check('10 kB at 10 Mbit/s take 8.37 ms: no burst passes unshaped', async () => {
    await shape('up', { rateMbps: 10 });
    await connected();
    await messageMs(10_000);
    const took: number[] = [];
    for (let i = 0; i < 21; i++) {
      await sleep(20);
      took.push(await messageMs(10_000));
    }
    assert.ok(Math.min(...took) >= 8.3, `one took ${Math.min(...took)} ms`);
    assert.ok(median(took) < 8.37 + LOOSE_MS, `the median is ${median(took)} ms`);
  });

  check('directions have their own settings', async () => {
    await shape('up', { delayMs: 1 });
    await shape('down', { delayMs: 60 });
    const up = await packets({ count: 15 }, 50);
    const down = await packets({ count: 15 }, 120, 'b');
    assert.ok(Math.min(...down.tookMs) >= 60 - ROUNDING_MS);
    assert.ok(Math.min(...up.tookMs) >= 1 - ROUNDING_MS);
    assert.ok(median(up.tookMs) < 1 + LOOSE_MS, `up took ${median(up.tookMs)} ms`);
  });

  for (const jitterDistribution of ['normal', 'uniform', 'pareto', 'paretonormal'] as const) {
    check(`${jitterDistribution} jitter has its mean and deviation, and keeps the order`, async () => {
      await shape('up', { delayMs: 30, jitterMs: 3, jitterDistribution });
      const count = 300;
      // So far apart that hardly any is held behind the one before.
      const { tookMs, sequence } = await packets({ count, pauseMs: 12 }, 200);
      assert.deepEqual(
        sequence,
        Array.from({ length: count }, (_, i) => i),
      );
      // A busy machine adds to delays, and to how far they lie apart: neither may be less than it should be.
      assert.ok(mean(tookMs) > 29, `the mean is ${mean(tookMs)} ms`);
      assert.ok(median(tookMs) < 30 + LOOSE_MS, `the median is ${median(tookMs)} ms`);
      // Tells 3 ms of deviation from the 1.7 of a uniform distribution that is 3 to either side.
      const sorted = tookMs.toSorted((x, y) => x - y);
      const spread = (sorted[Math.round(count * 0.9)] as number) - (sorted[Math.round(count * 0.1)] as number);
      assert.ok(spread > 3 * TENTHS[jitterDistribution] * 0.75, `nine tenths lie within ${spread} ms`);
    });
  }

  check('dense packets with jitter keep their order, with a rate and without', async () => {
    for (const rateMbps of [0, 50]) {
      await shape('up', { rateMbps, delayMs: 10, jitterMs: 4 });
      const { sequence } = await packets({ count: 300, atOnce: 10, pauseMs: 1 }, 150);
      assert.deepEqual(
        sequence,
        Array.from({ length: 300 }, (_, i) => i),
      );
      await shaping('up').worker.call('close');
    }
  });

  check('losses are the share that was set, each by itself', async () => {
    const worker = await shape('up', { lossPct: 10 });
    const count = 3000;
    const { sequence } = await packets({ count, atOnce: 20, pauseMs: 2 }, 200);
    const lost = count - sequence.length;
    // Five standard deviations of the binomial distribution: once in two million runs.
    const sd = Math.sqrt(count * 0.1 * 0.9);
    const stats = await worker.call('stats');
    assert.ok(Math.abs(lost - count * 0.1) < 5 * sd, `${lost} of ${count} were lost: ${JSON.stringify(stats)}`);
    assert.ok(meanRun(sequence, count) < 1.5, `runs are ${meanRun(sequence, count)} long`);
    assert.equal(stats.lostPackets, lost);
  });

  check('losses in bursts make longer runs and the same share', async () => {
    await shape('up', { lossPct: 10, lossBurstPackets: 6 });
    const count = 4000;
    const { sequence } = await packets({ count, atOnce: 20, pauseMs: 2 }, 200);
    const share = (count - sequence.length) / count;
    // About 67 runs of 6, geometric: five standard deviations of the share are 5 %, of the mean run 3.4.
    assert.ok(Math.abs(share - 0.1) < 0.055, `${share} were lost`);
    const run = meanRun(sequence, count);
    assert.ok(run > 2.9 && run < 9.4, `runs are ${run} long`);
  });

  check('a queue that is full drops what comes', async () => {
    const payloadBytes = 1000;
    const wire = payloadBytes + UDP_HEADER_BYTES;
    const queueBytes = 20 * wire;
    const worker = await shape('up', { rateMbps: 1, queueBytes });
    const count = 100;
    const { sendingMs, sequence, tookMs } = await packets({ count, payloadBytes, atOnce: count, pauseMs: 0 }, 600);
    const most = (queueBytes + sendingMs * 125) / wire + 2;
    assert.ok(sequence.length >= 18 && sequence.length <= most, `${sequence.length} passed, ${most} may`);
    assert.ok(Math.max(...tookMs) >= 15 * ((wire * 8) / 1000), 'the last one waited for those before it');
    const stats = await worker.call('stats');
    assert.equal(stats.droppedPackets, count - sequence.length);
    assert.equal(stats.lostPackets, 0);
    assert.equal(stats.queuedBytes, 0);
  });

  check('blocked, nothing passes; then everything does again', async () => {
    const settings = { ...free, delayMs: 5 };
    const worker = await shape('up', settings);
    await worker.call('set', settings, true);
    const none = await packets({ count: 20, pauseMs: 5 }, 100);
    assert.deepEqual(none.sequence, []);
    assert.equal((await worker.call('stats')).lostPackets, 20);
    await worker.call('set', settings);
    const all = await packets({ count: 20, pauseMs: 5 }, 100);
    assert.equal(all.sequence.length, 20);
    assert.ok(Math.min(...all.tookMs) >= 5 - ROUNDING_MS);
  });

  check('new settings hold at once', async () => {
    const worker = await shape('up', { rateMbps: 0.05, queueBytes: 3000 });
    await packets({ count: 3, payloadBytes: 1000, atOnce: 3, pauseMs: 0 }, 0);
    await worker.call('set', { ...free, delayMs: 30 });
    await sleep(400); // What waited when the rate was slow may hold what follows: nothing overtakes.
    const { tookMs } = await packets({ count: 15 }, 100);
    assert.equal(tookMs.length, 15);
    assert.ok(Math.min(...tookMs) >= 30 - ROUNDING_MS, `one took ${Math.min(...tookMs)} ms`);
    assert.ok(median(tookMs) < 30 + LOOSE_MS, `the median is ${median(tookMs)} ms`);
    await worker.call('set', { ...free, rateMbps: 10 });
    await connected();
    assert.ok((await messageMs(10_000)) >= 8.3);
  });

  check('a trace changes the link while it runs, and begins again', async () => {
    const trace: LinkTrace = {
      kind: 'steps',
      lengthMs: 2400,
      steps: [
        { atMs: 0, delayMs: 5 },
        { atMs: 1200, delayMs: 90 },
      ],
    };
    await shape('up', { trace });
    // Longer than two rounds of it: the first step is seen, then the second, then the first again.
    const { tookMs } = await packets({ count: 280, pauseMs: 18 }, 200);
    assert.ok(Math.min(...tookMs) >= 5 - ROUNDING_MS, `one took ${Math.min(...tookMs)} ms`);
    const first = tookMs.findIndex((ms) => ms < 60);
    const slow = tookMs.findIndex((_, i) => i > first && tookMs.slice(i, i + 15).every((ms) => ms >= 90 - ROUNDING_MS));
    const again = tookMs.findIndex((ms, i) => i > slow && ms < 60);
    assert.ok(first >= 0 && slow > first && again > slow, `they took ${tookMs.map(Math.round).join(' ')} ms`);
  });

  check("mahimahi's deliveries are a rate that changes", async () => {
    // A packet each 10 ms: 1.2 Mbit/s.
    const atMs = Array.from({ length: 100 }, (_, i) => (i + 1) * 10);
    await shape('up', { queueBytes: 1_000_000, trace: { kind: 'deliveries', atMs, lengthMs: 1000 } });
    const { tookMs } = await packets({ count: 60, payloadBytes: 1458, atOnce: 60, pauseMs: 0 }, 800);
    assert.equal(tookMs.length, 60);
    // Sixty packets need sixty deliveries, less one whose time was near when they came.
    assert.ok(Math.max(...tookMs) >= 580, `the last took ${Math.max(...tookMs)} ms`);
    assert.ok(Math.max(...tookMs) < 1300, `the last took ${Math.max(...tookMs)} ms`);
  });

  check('packets and bytes are counted as they are on the wire', async () => {
    const worker = await shape('up', {});
    await packets({ count: 50, payloadBytes: 958, atOnce: 10, pauseMs: 5 }, 100);
    const { packets: passed, bytes, lostPackets, droppedPackets } = await worker.call('stats');
    assert.deepEqual([passed, bytes, lostPackets, droppedPackets], [50, 50_000, 0, 0]);
    await worker.call('set', { ...free, delayMs: 1 });
    await packets({ count: 1, payloadBytes: 58 }, 50);
    const later = await worker.call('stats');
    assert.deepEqual([later.packets, later.bytes], [51, 50_100], 'settings do not reset counts');
  });

  check('closed, it leaves nothing, and answers no more', async () => {
    const { worker, side } = shaping('up');
    const clean = snapshot(side);
    await worker.call('open', side.interfaceName, { ...free, rateMbps: 5, delayMs: 20, jitterMs: 1, lossPct: 1 });
    assert.notEqual(snapshot(side), clean);
    await packets({ count: 5 }, 0);
    await worker.call('close');
    assert.equal(snapshot(side), clean);
    await worker.call('close');
    const closed = (error: unknown) => error instanceof TierbedError && error.kind === 'unavailable';
    await assert.rejects(worker.call('stats'), closed);
    await assert.rejects(worker.call('set', free), closed);
    const { sequence } = await packets({ count: 20 }, 50);
    assert.equal(sequence.length, 20);
  });

  check('what cannot be is refused by name, and leaves nothing', async () => {
    const { worker, side } = shaping('up');
    const clean = snapshot(side);
    const refused = async (settings: Partial<DirectionSettings>, words: RegExp) => {
      await assert.rejects(worker.call('open', side.interfaceName, { ...free, ...settings }), (error) => {
        assert.ok(error instanceof TierbedError, String(error));
        assert.equal(error.kind, 'invalid');
        assert.match(error.message, words);
        assert.ok(error.fix, error.message);
        return true;
      });
    };
    await refused({ delayMs: -1 }, /delayMs/);
    await refused({ rateMbps: Number.NaN }, /rateMbps/);
    await refused({ queueBytes: 100 }, /queueBytes/);
    await refused({ lossPct: 101 }, /lossPct/);
    await refused({ lossPct: 1, lossBurstPackets: 0.5 }, /lossBurstPackets/);
    await refused({ jitterMs: 1, jitterDistribution: 'cauchy' as 'normal' }, /jitterDistribution/);
    await refused({ trace: { kind: 'steps', lengthMs: 0, steps: [] } }, /trace/);
    await assert.rejects(worker.call('open', 'no-such-one', free), /no-such-one/);
    assert.equal(snapshot(side), clean);

    await worker.call('open', side.interfaceName, { ...free, delayMs: 25 });
    await assert.rejects(worker.call('set', { ...free, delayMs: -1 }), /delayMs/);
    const { tookMs } = await packets({ count: 5 }, 60);
    assert.ok(Math.min(...tookMs) >= 25 - ROUNDING_MS, 'what was refused changes nothing');
  });

  check('what a process left that was killed is taken over', async () => {
    const { side } = shaping('up');
    const clean = snapshot(side);
    const mortal = new NamespaceWorker(side);
    await mortal.call('load', module.href, exportName);
    await mortal.call('open', side.interfaceName, { ...free, rateMbps: 1, delayMs: 70, lossPct: 50 });
    await mortal.kill();

    const worker = await shape('up', { delayMs: 15 });
    const { tookMs } = await packets({ count: 20 }, 100);
    assert.equal(tookMs.length, 20);
    assert.ok(Math.min(...tookMs) >= 15 - ROUNDING_MS);
    assert.ok(median(tookMs) < 15 + LOOSE_MS, `the median is ${median(tookMs)} ms`);
    assert.equal((await worker.call('stats')).packets, 20);
    await worker.call('close');
    assert.equal(snapshot(side), clean);
  });

  check('it says that it can work here, and asking leaves nothing', async () => {
    const clean = snapshot(bench.pair.a);
    assert.equal(await bench.a.call('unavailable'), undefined);
    assert.equal(snapshot(bench.pair.a), clean);
  });
}

interface PacketPlan {
  readonly count: number;
  readonly payloadBytes: number;
  readonly atOnce: number;
  readonly pauseMs: number;
}

/** How many standard deviations lie between the first tenth and the last. */
const TENTHS = { normal: 2.56, uniform: 2.77, pareto: 1.5, paretonormal: 1.5 } as const;

/** The mean number of packets lost in a row. */
function meanRun(sequence: readonly number[], count: number): number {
  const came = new Set(sequence);
  let [lost, runs] = [0, 0];
  for (let i = 0; i < count; i++) {
    if (came.has(i)) continue;
    lost++;
    if (i === 0 || came.has(i - 1)) runs++;
  }
  return lost / Math.max(1, runs);
}
