import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leastOneWayMs } from '../../../services/link/least.js';
import type { DirectionSettings } from '../../../services/link/types.js';
import { transferMs } from '../../../services/link/wire.js';

const plain: DirectionSettings = { rateMbps: 10, delayMs: 5, jitterMs: 0, queueBytes: 262_144 };

const least = (bytes: number, ...changes: Partial<DirectionSettings>[]): number =>
  leastOneWayMs(
    changes.map((change) => [{ ...plain, ...change }]),
    bytes,
  );

test('the least is delay and passage, and never more than what a link is shaped to', () => {
  // 10,000 bytes at 10 Mbit/s: 8.37 ms as links are shaped, 8.30 with the fewest headers that there can be.
  assert.equal(least(10_000, {}).toFixed(2), '13.30');
  for (const bytes of [1, 100, 1460, 1461, 10_000, 600_000]) {
    assert.ok(least(bytes, {}) <= 5 + transferMs(bytes, [10]), `${bytes} bytes`);
    assert.ok(least(bytes, {}, { rateMbps: 20 }) <= 10 + transferMs(bytes, [10, 20]), `${bytes} bytes over two`);
    assert.ok(least(bytes, {}) >= 5 + (bytes * 8) / 10_000);
  }
  assert.equal(least(10_000, { rateMbps: 0 }), 5);
});

test('links in series: the delays of both, and the slower', () => {
  assert.equal(least(10_000, {}, { rateMbps: 1, delayMs: 2 }).toFixed(2), (7 + 83.02).toFixed(2));
});

test('of jitter the smallest delay that there can be', () => {
  assert.equal(least(1, { jitterMs: 1, rateMbps: 0 }), 0);
  assert.equal(least(1, { jitterMs: 1, rateMbps: 0, jitterDistribution: 'uniform' }), 5 - Math.sqrt(3));
  assert.equal(least(1, { jitterMs: 1, rateMbps: 0, jitterDistribution: 'pareto' }), 0);
});

test('of a link that changed, and of a trace, the fastest that it was', () => {
  const slow = { ...plain, rateMbps: 1, delayMs: 1 };
  assert.equal(leastOneWayMs([[plain, slow]], 10_000).toFixed(2), (1 + 8.3).toFixed(2));
  const steps = [
    { atMs: 0, rateMbps: 5 },
    { atMs: 100, rateMbps: 20, delayMs: 3 },
  ];
  assert.equal(least(10_000, { trace: { kind: 'steps', steps, lengthMs: 200 } }).toFixed(2), (3 + 4.15).toFixed(2));
  // 10,000 bytes need seven deliveries: three of the end, then four of the beginning of the next round.
  const atMs = [0, 1, 2, 3, 40, 60, 97, 98, 99];
  assert.equal(least(10_000, { trace: { kind: 'deliveries', atMs, lengthMs: 100 } }), 5 + 6);
});
