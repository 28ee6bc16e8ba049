// The nfqueue driver in the kernel: two network namespaces, a process that shapes what comes in to the far one.
// Times are held to lower bounds only, which no busy machine can break; bench/ measures how exact they are.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { nfqueueDriver } from '../../../services/link/drivers/nfqueue.js';
import { findIptables } from '../../../services/link/system/iptables.js';
import type { DirectionSettings } from '../../../services/link/types.js';
import { Cable, inside, namespacesMissing, type ShaperProcess } from './namespaces.js';

const plain: DirectionSettings = { delayMs: 0, jitterMs: 0, queueBytes: 1_000_000 };

const missing = namespacesMissing() ?? (await nfqueueDriver.unavailable());
const skip = missing !== undefined && !process.env.CI ? missing : false;

/** The driver's rules in a namespace, by the program that the driver finds. */
async function rules(namespace: string, family: 'ip' | 'ip6' = 'ip'): Promise<string[]> {
  const { program } = await findIptables(family);
  const listed = inside(namespace, program, '-t', 'mangle', '-S');
  return listed.split('\n').filter((line) => line.includes('tierbed'));
}

const numbers = (arrived: readonly [number, number][]) => arrived.map(([number]) => number);
const upTo = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);

describe('nfqueue', { skip }, () => {
  let cable: Cable;
  /** Shapes what comes in to the far end, and receives it. */
  let far: ShaperProcess;
  let near: ShaperProcess;

  before(async () => {
    cable = new Cable();
    far = cable.shaper();
    near = cable.shaper(cable.near);
    await far.call('receive');
    await far.call('serve');
  });
  after(() => cable?.close());

  const send = (count: number, more: { first?: number; wireBytes?: number; gapMs?: number } = {}) =>
    near.send(cable.farAddress, { count, ...more });

  async function opened(settings: Partial<DirectionSettings>, use: () => Promise<void>): Promise<void> {
    await far.open({ ...plain, ...settings });
    try {
      await use();
    } finally {
      await far.close();
    }
  }

  test('it is available here, and asking leaves nothing behind', async () => {
    assert.equal(await far.call('unavailable'), null);
    assert.deepEqual(await rules(cable.far), []);
  });

  test('each packet is late by the delay, and none is lost', () =>
    opened({ delayMs: 30 }, async () => {
      await send(100, { gapMs: 1 });
      const arrived = await far.arrivals((all) => all.length === 100);
      assert.deepEqual(numbers(arrived), upTo(100));
      for (const [number, ms] of arrived) assert.ok(ms >= 30, `${number} took ${ms} ms`);
    }));

  test('a rate lets packets pass one after the other', () =>
    opened({ rateMbps: 10 }, async () => {
      const count = 40;
      await send(count, { wireBytes: 1250 });
      const arrived = await far.arrivals((all) => all.length === count);
      assert.deepEqual(numbers(arrived), upTo(count));
      // The first leaves after 1 ms, the last after as many as were sent within the time that sending took.
      for (const [number, ms] of arrived) assert.ok(ms >= 1, `${number} took ${ms} ms`);
      const { packets, bytes } = await far.stats();
      assert.deepEqual([packets, bytes], [count, count * 1250]);
    }));

  test('10,000 bytes at 10 Mbit/s take at least 8.37 ms, those of a connection at its start too', () =>
    opened({ rateMbps: 10 }, async () => {
      for (let i = 0; i < 3; i++) {
        const ms = (await near.call('message', cable.farAddress, 10_000)) as number;
        assert.ok(ms >= 8.36, `it took ${ms} ms`);
      }
    }));

  test('a long message takes its bytes over the rate, whatever the kernel puts together', () =>
    opened({ rateMbps: 100 }, async () => {
      const bytes = 500_000;
      const ms = (await near.call('message', cable.farAddress, bytes)) as number;
      const least = ((bytes + (bytes / 1448) * 66) * 8) / 100_000;
      assert.ok(ms >= least - 0.2, `it took ${ms} ms, not ${least}`);
      const { packets } = await far.stats();
      assert.ok(packets >= bytes / 1448, `${packets} packets`);
    }));

  test('without a limit, several segments in one are counted as what they are', () =>
    opened({ delayMs: 1 }, async () => {
      const bytes = 3_000_000;
      await near.call('message', cable.farAddress, bytes);
      const stats = await far.stats();
      assert.ok(stats.packets >= bytes / 1448, `${stats.packets} packets`);
      assert.ok(stats.bytes >= bytes + Math.floor(bytes / 1448) * 66, `${stats.bytes} bytes`);
      assert.ok(stats.bytes <= (bytes + (bytes / 1448 + 100) * 66) * 1.05, `${stats.bytes} bytes`);
    }));

  test('packets get lost as often as is set, and are counted', () =>
    opened({ lossPct: 10 }, async () => {
      const count = 2000;
      await send(count);
      // The last ones may be lost: the count says when all are through.
      let lost = 0;
      const arrived: [number, number][] = [];
      for (let i = 0; i < 200 && arrived.length + lost < count; i++) {
        arrived.push(...((await far.call('arrivals')) as [number, number][]));
        lost = (await far.stats()).lostPackets;
        await sleep(20);
      }
      assert.equal(arrived.length + lost, count);
      assert.ok(Math.abs(lost - 200) < 4 * Math.sqrt(count * 0.1 * 0.9), `${lost} of ${count}`);
    }));

  test('a full queue drops what comes, and says so', () =>
    opened({ rateMbps: 1, queueBytes: 10 * 1250 }, async () => {
      const count = 60;
      await send(count, { wireBytes: 1250 });
      let dropped = 0;
      const arrived: [number, number][] = [];
      for (let i = 0; i < 500 && arrived.length + dropped < count; i++) {
        arrived.push(...((await far.call('arrivals')) as [number, number][]));
        dropped = (await far.stats()).droppedPackets;
        await sleep(20);
      }
      assert.equal(arrived.length + dropped, count);
      assert.ok(arrived.length >= 10, `${arrived.length} arrived`);
      assert.ok(dropped > 0, 'none was dropped');
    }));

  test('blocked, nothing passes, not even what was on its way; then the settings hold again', () =>
    opened({ delayMs: 200 }, async () => {
      await send(5);
      await far.set({ ...plain, delayMs: 200 }, true);
      await send(5, { first: 5 });
      await sleep(300);
      assert.deepEqual(numbers(await far.arrivals(() => true)), []);
      assert.equal((await far.stats()).lostPackets, 10);
      await far.set({ ...plain, delayMs: 20 });
      await send(5, { first: 10 });
      const arrived = await far.arrivals((all) => all.length === 5);
      assert.deepEqual(numbers(arrived), upTo(5, 10));
      for (const [, ms] of arrived) assert.ok(ms >= 20);
    }));

  test('settings that change while packets are on their way let nothing overtake', () =>
    opened({ delayMs: 500 }, async () => {
      await send(10);
      await sleep(200);
      await far.set({ ...plain, delayMs: 0 });
      await send(10, { first: 10 });
      const arrived = await far.arrivals((all) => all.length === 20);
      assert.deepEqual(numbers(arrived), upTo(20));
      for (const [number, ms] of arrived) if (number < 10) assert.ok(ms >= 500, `${number} took ${ms} ms`);
    }));

  test('jittered packets keep their order', () =>
    opened({ delayMs: 10, jitterMs: 5, jitterDistribution: 'pareto' }, async () => {
      await send(100);
      assert.deepEqual(numbers(await far.arrivals((all) => all.length === 100)), upTo(100));
    }));

  test('a trace of deliveries lets a packet pass at its times alone', () =>
    opened({ trace: { kind: 'deliveries', atMs: [100], lengthMs: 100 } }, async () => {
      await send(4, { wireBytes: 1514 });
      const arrived = await far.arrivals((all) => all.length === 4);
      const last = arrived.at(-1)?.[1] ?? 0;
      assert.ok(last >= 299, `the fourth came after ${last} ms`);
    }));

  test('closing takes the rules away, and packets pass', async () => {
    await opened({ delayMs: 5 }, async () => {
      assert.equal((await rules(cable.far)).length, 3);
    });
    assert.deepEqual(await rules(cable.far), []);
    await assert.rejects(far.stats(), /unavailable: the shaping of eth0 is closed/);
    await assert.rejects(far.set(plain), /unavailable/);
    await send(3);
    assert.equal((await far.arrivals((all) => all.length === 3)).length, 3);
  });

  test('a shaper that is killed leaves the link blocked, and the next one takes over', async () => {
    const doomed = cable.shaper();
    await doomed.open({ ...plain, delayMs: 10 });
    await doomed.kill();
    await send(5);
    await sleep(200);
    assert.deepEqual(await far.arrivals(() => true), [], 'what came while nobody shaped must not pass');
    await opened({ delayMs: 20 }, async () => {
      assert.equal((await rules(cable.far)).length, 3, 'rules are not doubled');
      await send(5, { first: 5 });
      const arrived = await far.arrivals((all) => all.length === 5);
      assert.deepEqual(numbers(arrived), upTo(5, 5));
      for (const [, ms] of arrived) assert.ok(ms >= 20);
    });
    assert.deepEqual(await rules(cable.far), []);
  });

  test('an interface that is shaped already is refused, and goes on as it was', () =>
    opened({ delayMs: 15 }, async () => {
      const second = cable.shaper();
      await assert.rejects(second.open(plain), /refused: another process has the packet queue/);
      await second.kill();
      await send(2);
      const arrived = await far.arrivals((all) => all.length === 2);
      assert.equal(arrived.length, 2);
      for (const [, ms] of arrived) assert.ok(ms >= 15);
    }));

  test('IPv6 is shaped too, where the interface has it', async () => {
    inside(cable.far, 'sysctl', '-qw', 'net.ipv6.conf.eth0.disable_ipv6=0');
    try {
      await opened({ delayMs: 5 }, async () => {
        assert.equal((await rules(cable.far, 'ip6')).length, 3);
      });
      assert.deepEqual(await rules(cable.far, 'ip6'), []);
    } finally {
      inside(cable.far, 'sysctl', '-qw', 'net.ipv6.conf.eth0.disable_ipv6=1');
    }
  });

  test('wrong settings and interfaces are named', async () => {
    await assert.rejects(far.open({ ...plain, delayMs: -1 }), /invalid: eth0\.delayMs is -1/);
    await assert.rejects(far.open({ ...plain, lossPct: 101 }), /invalid: eth0\.lossPct is 101/);
    await assert.rejects(far.open({ ...plain, lossPct: 90, lossBurstPackets: 2 }), /invalid: eth0\.lossBurstPackets/);
    assert.deepEqual(await rules(cable.far), []);
    await assert.rejects(nfqueueDriver.open('eth0; reboot', plain), /not the name/);
    await assert.rejects(nfqueueDriver.open('tierbed-no', plain), /no interface 'tierbed-no'/);
  });

  test('what is missing is said', async () => {
    const unprivileged = cable.shaper(cable.far, ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin']);
    assert.match(String(await unprivileged.call('unavailable')), /NET_ADMIN is missing/);
    const bare = cable.shaper(cable.far, ['env', 'PATH=/nowhere']);
    assert.match(String(await bare.call('unavailable')), /iptables-legacy: not installed; iptables: not installed/);
    await assert.rejects(bare.open(plain), /unavailable: no program can set packet filter rules/);
    assert.deepEqual(await rules(cable.far), []);
  });
});
