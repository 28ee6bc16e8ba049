import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../../base/random.js';
import { PacketShaper } from '../../../../services/link/shaping/packet-shaper.js';
import type { DirectionSettings } from '../../../../services/link/types.js';

const plain: DirectionSettings = { delayMs: 0, jitterMs: 0, queueBytes: 1_000_000 };
const shaper = (settings: Partial<DirectionSettings>, blocked = false) =>
  new PacketShaper<number>({ ...plain, ...settings }, new Random(1), 0, blocked);

test('a full queue drops what comes, until its front has left', () => {
  const s = shaper({ rateMbps: 10, queueBytes: 2500 });
  assert.deepEqual(
    [0, 0, 0, 1, 1].map((atMs, i) => s.offer(i, 1250, atMs)),
    ['taken', 'taken', 'dropped', 'taken', 'dropped'],
  );
  assert.deepEqual(s.stats(1), { packets: 0, bytes: 0, lostPackets: 0, droppedPackets: 2, queuedBytes: 2500 });
  assert.deepEqual([s.shift(3), s.shift(3), s.shift(2.9), s.shift(3)], [0, 1, undefined, 3]);
  assert.deepEqual(s.stats(3), { packets: 3, bytes: 3750, lostPackets: 0, droppedPackets: 2, queuedBytes: 0 });
});

test('lost packets take none of the rate', () => {
  const s = shaper({ rateMbps: 10, lossPct: 100 });
  assert.equal(s.offer(1, 1250, 0), 'lost');
  s.set({ ...plain, rateMbps: 10 }, 0);
  s.offer(2, 1250, 0);
  assert.equal(s.releaseMs, 1);
  assert.equal(s.stats(0).lostPackets, 1);
});

test('the same seed loses the same packets, whatever the jitter', () => {
  const fates = (settings: Partial<DirectionSettings>) => {
    const s = shaper({ lossPct: 30, ...settings });
    return Array.from({ length: 200 }, (_, i) => s.offer(i, 100, i));
  };
  assert.deepEqual(fates({}), fates({ jitterMs: 3, delayMs: 10 }));
  assert.ok(fates({}).includes('lost') && fates({}).includes('taken'));
});

test('blocked: nothing enters, and what was on its way is lost', () => {
  const s = shaper({ delayMs: 10 });
  s.offer(1, 100, 0);
  s.offer(2, 3000, 0, 2);
  assert.deepEqual(s.set(plain, 5, true), [1, 2]);
  assert.equal(s.offer(3, 100, 6), 'lost');
  assert.equal(s.shift(100), undefined);
  assert.equal(s.stats(100).lostPackets, 4);
  assert.deepEqual(s.set(plain, 200), []);
  assert.equal(s.offer(4, 100, 200), 'taken');
  assert.equal(s.shift(200), 4);
});

test('it can begin blocked', () => {
  assert.equal(shaper({}, true).offer(1, 100, 0), 'lost');
});

test('a packet that is several on the wire counts as so many', () => {
  const s = shaper({});
  s.offer(1, 4542, 0, 3);
  s.shift(0);
  assert.equal(s.stats(0).packets, 3);
  assert.equal(s.stats(0).bytes, 4542);
});
