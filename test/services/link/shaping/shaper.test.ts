import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Shaper } from '../../../../services/link/shaping/shaper.js';
import { UNLIMITED_BYTES } from '../../../../services/link/shaping/transit.js';
import type { DirectionSettings } from '../../../../services/link/types.js';
import { wireBytes } from '../../../../services/link/wire.js';

const plain: DirectionSettings = { delayMs: 0, jitterMs: 0, queueBytes: 1_000_000 };

function shaper(settings: Partial<DirectionSettings>, normals: readonly number[] = []): Shaper<string> {
  let drawn = 0;
  return new Shaper({ ...plain, ...settings }, { normal: () => normals[drawn++] ?? 0, uniform: () => 0.5 }, 0);
}

/** Everything that is on its way, with the times at which it arrives. */
function drain(of: Shaper<string>): [string, number][] {
  const all: [string, number][] = [];
  for (let next = of.shift(Infinity); next; next = of.shift(Infinity)) {
    all.push([next.item, Math.round(next.atMs * 1e6) / 1e6]);
  }
  return all;
}

test('a full segment carries 1448 bytes of payload in 1514 on the wire, a bare packet takes 66', () => {
  assert.equal(wireBytes(1448), 1514);
  assert.equal(wireBytes(1449), 1449 + 2 * 66);
  assert.equal(wireBytes(0), 66);
  assert.equal(wireBytes(10_000), 10_462);
});

test('an item arrives after the delay, to the bit', () => {
  const s = shaper({ delayMs: 20 });
  s.push('a', 100, 5);
  assert.equal(s.releaseMs, 25);
  assert.equal(s.shift(24.999), undefined);
  assert.deepEqual(s.shift(100), { item: 'a', atMs: 25 });
  assert.equal(s.releaseMs, Infinity);
});

test('10,000 bytes at 10 Mbit/s take 8.3696 ms', () => {
  const s = shaper({ rateMbps: 10 });
  s.push('a', 10_000, 0);
  assert.deepEqual(drain(s), [['a', 8.3696]]);
});

test('items are sent one after the other, and an idle link saves nothing up', () => {
  const s = shaper({ rateMbps: 1, delayMs: 3 });
  s.push('a', 1448, 0); // 1514 * 8 / 1000 = 12.112 ms
  s.push('b', 1448, 1);
  s.push('c', 1448, 100);
  assert.deepEqual(drain(s), [
    ['a', 15.112],
    ['b', 27.224],
    ['c', 115.112],
  ]);
});

test('the times do not depend on when anybody looks', () => {
  const early = shaper({ rateMbps: 10, delayMs: 5 });
  const late = shaper({ rateMbps: 10, delayMs: 5 });
  const seen: [string, number][] = [];
  for (let i = 0; i < 50; i++) {
    early.push(`${i}`, 700, i * 0.3);
    late.push(`${i}`, 700, i * 0.3);
    for (let next = early.shift(i * 0.3); next; next = early.shift(i * 0.3)) {
      seen.push([next.item, Math.round(next.atMs * 1e6) / 1e6]);
    }
  }
  assert.ok(seen.length > 0);
  assert.deepEqual([...seen, ...drain(early)], drain(late));
});

test('jitter moves each item by its own draw and never puts it before the one ahead', () => {
  const s = shaper({ delayMs: 10, jitterMs: 2 }, [1, -1, 0, -9]);
  s.push('a', 1, 0);
  s.push('b', 1, 1);
  s.push('c', 1, 100);
  s.push('d', 1, 200);
  assert.deepEqual(drain(s), [
    ['a', 12],
    ['b', 12], // 1 + 8 = 9, held behind a
    ['c', 110],
    ['d', 200], // a delay is never negative
  ]);
});

test('a full queue takes nothing until the packet at its front has left; the delay line does not count', () => {
  const s = shaper({ rateMbps: 1, delayMs: 1000, queueBytes: 2 * 1514 });
  assert.ok(s.admits(1448, 0));
  s.push('a', 1448, 0);
  s.push('b', 1448, 0);
  assert.equal(s.admits(1448, 0), false);
  assert.equal(s.roomMs, 12.112);
  assert.equal(s.admits(1448, 12.111), false);
  assert.equal(s.admits(1448, 12.112), true);
  assert.ok(s.admits(2 * 1448, 24.224), 'both have left the queue though neither has arrived');
  assert.equal(s.shift(1000), undefined);
});

test('an empty queue takes a packet larger than itself', () => {
  assert.ok(shaper({ rateMbps: 1, queueBytes: 1514 }).admits(1_000_000, 0));
});

test('without a rate the bound is on what is on its way', () => {
  const s = shaper({ delayMs: 10, queueBytes: 1514 });
  const piece = 1024 * 1024;
  let held = 0;
  while (s.admits(piece, 0)) {
    s.push('x', piece, 0);
    held += wireBytes(piece);
  }
  assert.ok(held <= UNLIMITED_BYTES && held > UNLIMITED_BYTES - 2 * wireBytes(piece));
  assert.ok(s.shift(10));
  assert.ok(s.admits(piece, 10));
});

test('new settings hold for what comes after, and nothing overtakes', () => {
  const s = shaper({ delayMs: 100 });
  s.push('a', 1, 0);
  s.set({ ...plain, delayMs: 10 }, 0);
  s.push('b', 1, 0);
  s.push('c', 1, 200);
  s.set({ ...plain, rateMbps: 1, delayMs: 0 }, 200);
  s.push('d', 1448, 300);
  assert.deepEqual(drain(s), [
    ['a', 100],
    ['b', 100],
    ['c', 210],
    ['d', 312.112],
  ]);
});

test('pieces are single packets on slow links and never more than fit the queue', () => {
  const quantum = (settings: Partial<DirectionSettings>) => shaper(settings).quantumBytes;
  assert.equal(quantum({ rateMbps: 1 }), 1448);
  assert.equal(quantum({ rateMbps: 199 }), 1448);
  assert.equal(quantum({ rateMbps: 1000 }), 10 * 1448);
  assert.equal(quantum({ rateMbps: 40_000 }), 11 * 1448);
  assert.equal(quantum({ rateMbps: 1000, queueBytes: 3 * 1514 }), 3 * 1448);
  assert.equal(quantum({ rateMbps: 0 }), 65_536);
});

test('payload is counted when it arrives', () => {
  const s = shaper({ delayMs: 1 });
  s.push('a', 70, 0);
  s.push('b', 30, 5);
  assert.equal(s.releasedBytes, 0);
  s.shift(1);
  assert.equal(s.releasedBytes, 70);
  drain(s);
  assert.equal(s.releasedBytes, 100);
});
