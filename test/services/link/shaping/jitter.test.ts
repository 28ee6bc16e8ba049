import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../../base/random.js';
import { drawDelayMs, standardDraw } from '../../../../services/link/shaping/jitter.js';
import type { JitterDistribution } from '../../../../services/link/types.js';

const COUNT = 200_000;

function drawn(distribution: JitterDistribution): number[] {
  const random = new Random(7);
  return Array.from({ length: COUNT }, () => standardDraw(distribution, random)).sort((a, b) => a - b);
}

const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
const below = (sorted: readonly number[], x: number) => sorted.filter((v) => v < x).length / sorted.length;
const quantile = (sorted: readonly number[], q: number) => sorted[Math.floor(q * sorted.length)] as number;

for (const distribution of ['normal', 'uniform', 'pareto', 'paretonormal'] as const) {
  test(`${distribution} jitter has mean 0 and standard deviation 1`, () => {
    const values = drawn(distribution);
    const centre = mean(values);
    const variance = mean(values.map((v) => (v - centre) ** 2));
    assert.ok(Math.abs(centre) < 0.01, `mean ${centre}`);
    // Pareto's fourth moment is large (its tail ends at 19 standard deviations), so its variance is known to 2 % or so.
    assert.ok(Math.abs(variance - 1) < 0.03, `variance ${variance}`);
  });
}

test('normal jitter has the quantiles of the normal distribution', () => {
  const values = drawn('normal');
  for (const [x, share] of [
    [-1.96, 0.025],
    [-1, 0.1587],
    [0, 0.5],
    [1, 0.8413],
    [1.96, 0.975],
  ] as const) {
    assert.ok(Math.abs(below(values, x) - share) < 0.005, `${x}`);
  }
});

test('uniform jitter lies within root 3 and is flat', () => {
  const values = drawn('uniform');
  assert.ok((values[0] as number) >= -Math.sqrt(3) && (values.at(-1) as number) < Math.sqrt(3));
  for (const q of [0.1, 0.25, 0.5, 0.9]) {
    assert.ok(Math.abs(quantile(values, q) - (2 * q - 1) * Math.sqrt(3)) < 0.02, `${q}`);
  }
});

test("pareto jitter's tail falls with the third power, and ends", () => {
  const values = drawn('pareto');
  const least = values[0] as number;
  // x = 1 at the least value, 16 at the end: undo the shift and scale by these two points of the distribution.
  const sd = 0.7614;
  const x = (v: number) => 1 + (v - least) * sd;
  for (const at of [1.5, 2, 4]) {
    const share = values.filter((v) => x(v) > at).length / COUNT;
    const expected = (at ** -3 - 1 / 4096) / (1 - 1 / 4096);
    assert.ok(Math.abs(share - expected) < 0.05 * expected + 0.001, `${at}: ${share}, not ${expected}`);
  }
  assert.ok(x(values.at(-1) as number) <= 16.01);
});

test('paretonormal is a quarter normal, three quarters pareto', () => {
  const values = drawn('paretonormal');
  // The skewness of a sum is that of its parts, by the cube of their weights: the normal part has none.
  const skewness = (of: readonly number[]) => mean(of.map((v) => v ** 3));
  const expected = skewness(drawn('pareto')) * (0.75 / Math.hypot(0.25, 0.75)) ** 3;
  assert.ok(Math.abs(skewness(values) / expected - 1) < 0.1, `${skewness(values)}, not ${expected}`);
});

test('a delay has the mean and the deviation that are set, and is never negative', () => {
  const random = new Random(3);
  const delays = Array.from({ length: COUNT }, () => drawDelayMs({ delayMs: 20, jitterMs: 3 }, random));
  assert.ok(Math.abs(mean(delays) - 20) < 0.05);
  assert.ok(Math.abs(Math.sqrt(mean(delays.map((d) => (d - 20) ** 2))) - 3) < 0.05);
  assert.ok(Array.from({ length: 1000 }, () => drawDelayMs({ delayMs: 1, jitterMs: 5 }, random)).every((d) => d >= 0));
  assert.equal(drawDelayMs({ delayMs: 5, jitterMs: 0, jitterDistribution: 'pareto' }, random), 5);
});
