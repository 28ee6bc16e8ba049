import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random, splitMix64 } from '../../base/random.js';

test('splitMix64 gives the reference sequence of seed 1234567', () => {
  const next = splitMix64(1234567n);
  assert.deepEqual(
    [next(), next(), next(), next(), next()],
    [6457827717110365317n, 3203168211198807973n, 9817491932198370423n, 4593380528125082431n, 16408922859458223821n],
  );
});

test('xoshiro128** 1.1 gives what the reference C code gives from the same state', () => {
  const random = Random.fromState([0x964d4a0c, 0xd40ab895, 0xad7fdecb, 0x3006f0f0]);
  const drawn = Array.from({ length: 4 }, () => random.uint32());
  assert.deepEqual(drawn, [0xf1391922, 0x6fe53806, 0xa5be2840, 0xf510ee70]);
  const small = Random.fromState([1, 2, 3, 4]);
  assert.deepEqual(
    Array.from({ length: 4 }, () => small.uint32()),
    [11520, 0, 5927040, 70819200],
  );
});

test('the same seed repeats, another differs, and all 64 bits of a seed count', () => {
  const draw = (seed: number | bigint) =>
    Array.from(
      { length: 8 },
      (
        (r) => () =>
          r.uint32()
      )(new Random(seed)),
    );
  assert.deepEqual(draw(7), draw(7n));
  assert.notDeepEqual(draw(7), draw(8));
  assert.notDeepEqual(draw(7n), draw(7n + (1n << 40n)));
});

test('a fork depends on the seed and the label, not on what was drawn before', () => {
  const used = new Random(3);
  for (let i = 0; i < 100; i++) used.uint32();
  assert.equal(used.fork('conv1.weight').uint32(), new Random(3).fork('conv1.weight').uint32());
  assert.notEqual(new Random(3).fork('a').uint32(), new Random(3).fork('b').uint32());
  assert.notEqual(new Random(3).fork('a').uint32(), new Random(4).fork('a').uint32());
  assert.notEqual(new Random(3).fork('a').uint32(), new Random(3).fork('a').fork('a').uint32());
});

test('uniform numbers have the mean and variance of their range and stay inside it', () => {
  const random = new Random(1);
  const values = Array.from({ length: 100_000 }, () => random.uniform(2, 5));
  const { mean, variance } = moments(values);
  assert.ok(values.every((v) => v >= 2 && v < 5));
  assert.ok(Math.abs(mean - 3.5) < 0.02, `mean ${mean}`);
  assert.ok(Math.abs(variance - 9 / 12) < 0.02, `variance ${variance}`);
});

test('integers are equally likely and bounds outside 1..2^32 are refused', () => {
  const random = new Random(2);
  const tally = new Map<number, number>();
  for (let i = 0; i < 60_000; i++) {
    const v = random.integer(6);
    tally.set(v, (tally.get(v) ?? 0) + 1);
  }
  const chiSquare = [0, 1, 2, 3, 4, 5].reduce((sum, v) => sum + ((tally.get(v) ?? 0) - 10_000) ** 2 / 10_000, 0);
  assert.equal(tally.size, 6);
  assert.ok(chiSquare < 20.5, `chi-square ${chiSquare} with 5 degrees of freedom (p = 0.001 at 20.5)`);
  // A bound just over half the range: taking a plain remainder would make the lower half twice as likely.
  const big = 0xc0000000;
  let low = 0;
  for (let i = 0; i < 10_000; i++) low += random.integer(big) < 0x40000000 ? 1 : 0;
  assert.ok(Math.abs(low / 10_000 - 1 / 3) < 0.03, `${low} of 10000 in the lowest third`);
  for (const bad of [0, -1, 1.5, 2 ** 32 + 1, Number.NaN]) assert.throws(() => random.integer(bad), RangeError);
});

test('normal and exponential numbers have their moments', () => {
  const random = new Random(5);
  const normal = moments(Array.from({ length: 100_000 }, () => random.normal(10, 2)));
  assert.ok(Math.abs(normal.mean - 10) < 0.05 && Math.abs(normal.variance - 4) < 0.1, JSON.stringify(normal));
  assert.ok(Math.abs(normal.skewness) < 0.05 && Math.abs(normal.kurtosis - 3) < 0.1, JSON.stringify(normal));
  const gaps = moments(Array.from({ length: 100_000 }, () => random.exponential(0.5)));
  assert.ok(Math.abs(gaps.mean - 0.5) < 0.01 && Math.abs(gaps.variance - 0.25) < 0.015, JSON.stringify(gaps));
});

test('a shuffle keeps the items, leaves its argument alone and reaches every order equally often', () => {
  const random = new Random(6);
  const items = ['a', 'b', 'c'] as const;
  const orders = new Map<string, number>();
  for (let i = 0; i < 12_000; i++) {
    const order = random.shuffle(items).join('');
    orders.set(order, (orders.get(order) ?? 0) + 1);
  }
  assert.deepEqual(items, ['a', 'b', 'c']);
  assert.equal(orders.size, 6);
  for (const [order, n] of orders) assert.ok(Math.abs(n - 2000) < 200, `${order}: ${n}`);
});

test('fillUniform draws the same stream as uint32 and goes on where it ended', () => {
  const [one, two] = [new Random(9), new Random(9)];
  const filled = one.fillUniform(new Float32Array(1000), -1, 1);
  const expected = Float32Array.from({ length: 1000 }, () => -1 + (two.uint32() * 2) / 2 ** 32);
  assert.deepEqual(filled, expected);
  assert.equal(one.uint32(), two.uint32());
});

test('fillNormal gives the numbers that normal gives', () => {
  const [one, two] = [new Random(9), new Random(9)];
  const filled = one.fillNormal(new Float32Array(99), 1, 3);
  assert.deepEqual(
    filled,
    Float32Array.from({ length: 99 }, () => two.normal(1, 3)),
  );
});

function moments(values: readonly number[]) {
  const n = values.length;
  const mean = values.reduce((s, v) => s + v, 0) / n;
  const central = (power: number) => values.reduce((s, v) => s + (v - mean) ** power, 0) / n;
  const variance = central(2);
  return { mean, variance, skewness: central(3) / variance ** 1.5, kurtosis: central(4) / variance ** 2 };
}
