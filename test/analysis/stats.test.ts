import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NumberList } from '../../analysis/number-list.js';
import { medianInterval95 } from '../../analysis/stats/median-interval.js';
import { mean, standardDeviation } from '../../analysis/stats/moments.js';
import { quantileOfSorted } from '../../analysis/stats/quantile.js';

const ranks = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

test('quantiles interpolate as type 7 does', () => {
  // numpy.quantile([1, 2, 4, 8, 16], [0, .1, .5, .9, 1]) and of [1, 2, 4, 8] at .5
  const values = [1, 2, 4, 8, 16];
  assert.deepEqual(
    [0, 0.1, 0.5, 0.9, 1].map((p) => quantileOfSorted(values, p)),
    [1, 1.4, 4, 12.8, 16],
  );
  assert.equal(quantileOfSorted([1, 2, 4, 8], 0.5), 3);
  assert.equal(quantileOfSorted([7], 0.99), 7);
  assert.throws(() => quantileOfSorted([], 0.5), RangeError);
});

test('mean and sample standard deviation', () => {
  assert.equal(mean([2, 4, 4, 4, 5, 5, 7, 9]), 5);
  assert.ok(Math.abs(standardDeviation([2, 4, 4, 4, 5, 5, 7, 9]) - Math.sqrt(32 / 7)) < 1e-12);
  assert.equal(standardDeviation([3]), 0);
});

test("the median's interval takes the order statistics of published tables", () => {
  // Ranks of the 95 % interval of the median: Conover, Practical Nonparametric Statistics, table A3 (p = 1/2).
  const expected: [number, number, number][] = [
    [6, 1, 6],
    [8, 1, 8],
    [9, 2, 8],
    [10, 2, 9],
    [15, 4, 12],
    [20, 6, 15],
    [25, 8, 18],
    [50, 18, 33],
    [100, 40, 61],
  ];
  for (const [n, low, high] of expected) assert.deepEqual(medianInterval95(ranks(n)), [low, high], `n = ${n}`);
  assert.equal(medianInterval95(ranks(5)), undefined);
  assert.equal(medianInterval95([]), undefined);
});

test('the normal approximation continues the exact ranks', () => {
  const [exactLow] = medianInterval95(ranks(1000)) as [number, number];
  const [low, high] = medianInterval95(ranks(1001)) as [number, number];
  assert.ok(Math.abs(low - exactLow) <= 1, `${exactLow} then ${low}`);
  assert.equal(low + high, 1002);
});

test('a list of numbers grows and keeps them', () => {
  const list = new NumberList();
  for (let i = 0; i < 1000; i++) list.push(i / 3);
  assert.equal(list.values.length, 1000);
  assert.equal(list.values[999], 333);
});
