import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TierbedError } from '../../../../base/errors.js';
import { redirectLines, shapeBatch } from '../../../../services/link/netem/commands.js';
import type { DirectionSettings } from '../../../../services/link/types.js';

const plain: DirectionSettings = { rateMbps: 10, delayMs: 20, jitterMs: 0, queueBytes: 65_536 };
const devices = { interfaceName: 'eth0', queueName: 'tbq7', packetBytes: 1514 };

function linesOf(settings: Partial<DirectionSettings>, blocked = false): readonly string[] {
  return shapeBatch(devices, { ...plain, ...settings }, blocked).lines;
}

test('rate, delay and queue are one chain: TBF holds the bytes, netem gives the times', () => {
  // 10 Mbit/s are 1250 bytes a ms: the bucket holds one packet and 2 ms of them, the rest of the queue waits in TBF, and
  // 20 ms of the rate and the bucket may be in netem, as packets of 60 bytes.
  assert.deepEqual(linesOf({}), [
    'qdisc replace dev eth0 root handle 7b: netem limit 1484 rate 10000000bit delay 20000us',
    'qdisc replace dev tbq7 root handle 7b: tbf rate 10000000bit burst 4014 limit 61522',
  ]);
});

test('without a rate netem still has one, which keeps the order', () => {
  const [netem, tbf] = linesOf({ rateMbps: 0, delayMs: 0 });
  assert.match(netem as string, /netem limit \d{6,} rate 100000000000bit$/);
  assert.match(tbf as string, /tbf rate 100000000000bit burst \d{7,} limit \d{7,}$/);
  assert.deepEqual(
    linesOf({ rateMbps: undefined as unknown as number, delayMs: 0 }),
    linesOf({ rateMbps: 0, delayMs: 0 }),
  );
});

test('fractions reach the kernel as they are', () => {
  const [netem, tbf] = linesOf({ rateMbps: 0.768, delayMs: 0.0125 });
  assert.match(netem as string, /rate 768000bit delay 12\.5us$/);
  assert.match(tbf as string, /rate 768000bit burst 1706 /);
});

test('a small queue is never below a packet, nor its bucket more than half of it', () => {
  assert.match(linesOf({ queueBytes: 1514 })[1] as string, /burst 2271 limit 1514$/);
  assert.match(linesOf({ rateMbps: 1000, queueBytes: 100_000 })[1] as string, /burst 51514 limit 48486$/);
});

test('losses by themselves are a share, in bursts the two chances of Gilbert', () => {
  assert.match(linesOf({ lossPct: 0.1 })[0] as string, / loss 0\.1%$/);
  assert.match(linesOf({ lossPct: 100 })[0] as string, / loss 100%$/);
  assert.doesNotMatch(linesOf({ lossPct: 0 })[0] as string, /loss/);
  // r = 1/5; p = r * 0.2 / 0.8.
  assert.match(linesOf({ lossPct: 20, lossBurstPackets: 5 })[0] as string, / loss gemodel 5% 20%$/);
  // 90 % cannot be lost in runs of one: one packet lies between two runs, so they are nine long.
  assert.match(linesOf({ lossPct: 90, lossBurstPackets: 1 })[0] as string, / loss gemodel 100% 11\.1111111%$/);
});

test('blocked, everything is lost, whatever is set', () => {
  assert.match(linesOf({ lossPct: 1, lossBurstPackets: 3 }, true)[0] as string, / delay 20000us loss 100%$/);
});

test('jitter comes with the table that it names', () => {
  const { lines, table } = shapeBatch(devices, { ...plain, jitterMs: 2, jitterDistribution: 'uniform' }, false);
  assert.match(lines[0] as string, / delay 20000us 2000us distribution tierbed$/);
  assert.equal(table?.length, 4096);
  assert.equal(shapeBatch(devices, plain, false).table, undefined);
});

test('jitter beyond what netem can hold is refused by name', () => {
  assert.throws(
    () => shapeBatch(devices, { ...plain, jitterMs: 5000 }, false),
    (error) =>
      error instanceof TierbedError &&
      error.kind === 'invalid' &&
      /^jitterMs is 5000/.test(error.message) &&
      /nfqueue/.test(error.fix ?? ''),
  );
});

test('the filter leads what leaves to the helper device', () => {
  assert.deepEqual(redirectLines(devices), [
    'qdisc replace dev eth0 clsact',
    'filter add dev eth0 egress protocol all pref 31415 handle 1 matchall action mirred egress redirect dev tbq7',
  ]);
});
