import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../../base/random.js';
import { Transit } from '../../../../services/link/shaping/transit.js';
import type { DirectionSettings, LinkTrace } from '../../../../services/link/types.js';

const plain: DirectionSettings = { delayMs: 0, jitterMs: 0, queueBytes: 1_000_000 };
const transit = (settings: Partial<DirectionSettings>, atMs = 0) =>
  new Transit<string>({ ...plain, ...settings }, new Random(5), atMs);

function arrivals(of: Transit<string>): number[] {
  const all: number[] = [];
  for (let next = of.shift(Infinity); next; next = of.shift(Infinity)) all.push(Math.round(next.atMs * 1e6) / 1e6);
  return all;
}

test('1250 bytes at 10 Mbit/s take a millisecond each, one after the other', () => {
  const t = transit({ rateMbps: 10, delayMs: 7 });
  t.push('a', 1250, 100);
  t.push('b', 1250, 100);
  t.push('c', 1250, 100.5);
  t.push('d', 1250, 200);
  assert.deepEqual(arrivals(t), [108, 109, 110, 208]);
});

test('the queue counts what waits for the limiter, not what is in the delay line', () => {
  const t = transit({ rateMbps: 10, delayMs: 1000, queueBytes: 2500 });
  t.push('a', 1250, 0);
  assert.ok(t.admits(1250, 0));
  t.push('b', 1250, 0);
  assert.equal(t.queuedBytes(0), 2500);
  assert.equal(t.admits(1, 0.999), false);
  assert.ok(t.admits(1250, 1));
  assert.equal(t.queuedBytes(2), 0);
});

test('a limit set on an unlimited link does not count what is already on its way', () => {
  const t = transit({ delayMs: 1000 });
  for (let i = 0; i < 10; i++) t.push('x', 100_000, 0);
  t.set({ ...plain, rateMbps: 1, queueBytes: 2000 }, 1);
  assert.ok(t.admits(1514, 1));
  t.push('y', 1250, 1);
  assert.equal(arrivals(t).at(-1), 1000, 'and nothing overtakes it');
});

test('jittered packets keep their order', () => {
  const t = transit({ delayMs: 10, jitterMs: 8, jitterDistribution: 'pareto' });
  for (let i = 0; i < 1000; i++) t.push(`${i}`, 100, i * 0.5);
  const order: string[] = [];
  for (let next = t.shift(Infinity); next; next = t.shift(Infinity)) order.push(next.item);
  assert.deepEqual(
    order,
    Array.from({ length: 1000 }, (_, i) => `${i}`),
  );
});

const steps: LinkTrace = {
  kind: 'steps',
  lengthMs: 100,
  steps: [
    { atMs: 10, rateMbps: 1 },
    { atMs: 20, rateMbps: 10, delayMs: 5 },
    { atMs: 50, delayMs: 2 },
  ],
};

test('steps override what they name from their time on, and begin again', () => {
  const t = transit({ rateMbps: 100, delayMs: 1, trace: steps }, 1000);
  const at = (ms: number) => {
    const { rateMbps, delayMs } = t.settingsAt(1000 + ms);
    return [rateMbps, delayMs];
  };
  assert.deepEqual([0, 9.9, 10, 19.9, 20, 50, 99].map(at), [
    [100, 1],
    [100, 1],
    [1, 1],
    [1, 1],
    [10, 5],
    [100, 2], // rateMbps is not named: as the settings around the trace have it
    [100, 2],
  ]);
  assert.deepEqual([100, 110, 10_025].map(at), [
    [100, 1],
    [1, 1],
    [10, 5],
  ]);
});

test('a packet that is being sent when the rate changes goes on at the new one', () => {
  const t = transit({ rateMbps: 100, delayMs: 0, trace: steps });
  // 5 ms at 1 Mbit/s are 5000 bits, the remaining 5000 of 1250 bytes take 0.5 ms at 10 Mbit/s; then the delay is 5 ms.
  t.push('a', 1250, 15);
  assert.deepEqual(arrivals(t), [25.5]);
});

test('the rate of a queued packet is that of the time at which it is sent', () => {
  const t = transit({
    rateMbps: 1,
    delayMs: 0,
    trace: { kind: 'steps', lengthMs: 1000, steps: [{ atMs: 20, rateMbps: 10 }] },
  });
  t.push('a', 1250, 0); // 10 ms
  t.push('b', 1250, 0); // 10 ms
  t.push('c', 1250, 0); // 1 ms
  assert.deepEqual(arrivals(t), [10, 20, 21]);
});

test('a trace begins when it is set', () => {
  const t = transit({ rateMbps: 100, trace: steps }, 0);
  t.set({ ...plain, rateMbps: 100, trace: steps }, 95);
  assert.equal(t.settingsAt(96).rateMbps, 100);
  assert.equal(t.settingsAt(106).rateMbps, 1);
});

const deliveries: LinkTrace = { kind: 'deliveries', atMs: [5, 5, 20], lengthMs: 30 };

test('deliveries let one full packet pass at each of their times, and begin again', () => {
  const t = transit({ trace: deliveries, delayMs: 1 });
  for (let i = 0; i < 5; i++) t.push('x', 1514, 0);
  assert.deepEqual(arrivals(t), [6, 6, 21, 36, 36]);
});

test('a chance at which nothing waits is lost', () => {
  const t = transit({ trace: deliveries }, 100);
  t.push('x', 1514, 106);
  t.push('x', 1514, 130.5);
  t.push('x', 1514, 130.5);
  t.push('x', 1514, 130.5);
  assert.deepEqual(arrivals(t), [120, 135, 135, 150]);
});

test('small packets that wait together share a chance, a large one takes several', () => {
  const t = transit({ trace: deliveries });
  t.push('x', 700, 0);
  t.push('x', 700, 0);
  t.push('x', 700, 0);
  t.push('x', 3 * 1514, 6);
  assert.deepEqual(arrivals(t), [5, 5, 5, 35]);
  const late = transit({ trace: deliveries });
  late.push('x', 100, 0);
  late.push('x', 100, 5.5);
  assert.deepEqual(arrivals(late), [5, 20]);
});

test('deliveries fill the queue like a rate does', () => {
  const t = transit({ trace: deliveries, queueBytes: 2 * 1514 });
  t.push('x', 1514, 6);
  t.push('x', 1514, 6);
  assert.equal(t.admits(1514, 6), false);
  assert.ok(t.admits(1514, 20));
});

test('what is cleared comes back in order, and leaves the limiter free', () => {
  const t = transit({ rateMbps: 0.1, delayMs: 50 });
  t.push('a', 1250, 0);
  t.push('b', 1250, 0);
  assert.deepEqual(t.clear(), ['a', 'b']);
  assert.equal(t.queuedBytes(0), 0);
  assert.equal(t.releaseMs, Infinity);
  t.push('c', 1250, 1);
  assert.deepEqual(arrivals(t), [151]);
});
