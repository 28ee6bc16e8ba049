import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import {
  type Calibrator,
  calibratorNamed,
  calibratorNames,
  type MethodOptions,
} from '../../../operators/quantise/calibrators/index.js';
import { type Histogram, HistogramBuilder, withoutZeros } from '../../../operators/quantise/histogram.js';
import type { Range } from '../../../operators/quantise/range.js';

function histogramOf(values: Float32Array): Histogram {
  const builder = new HistogramBuilder();
  assert.ok(builder.add(values));
  return builder.histogram() as Histogram;
}

function rangeOf(method: string, values: Float32Array, options: MethodOptions = {}): Range {
  const calibrator = calibratorNamed(method) as Extract<Calibrator, { needs: 'histogram' }>;
  return calibrator.range(histogramOf(values), options);
}

const random = new Random(7);
const NORMAL = random.fillNormal(new Float32Array(200_000));
const UNIFORM = random.fillUniform(new Float32Array(200_000), -2, 3);
/** A normal distribution with a few values far away, as activations have them. */
const OUTLIERS = Float32Array.from([...NORMAL, 60, 61, -45]);
const RELU = OUTLIERS.map((value) => Math.max(0, value));
const SWISH = NORMAL.map((value) => (3 * value) / (1 + Math.exp(-3 * value)));
const ALL = { NORMAL, UNIFORM, OUTLIERS, RELU, SWISH };
const CLIPPING = ['percentile', 'entropy', 'mse'];

const near = (actual: number, expected: number, tolerance: number): void =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected} +- ${tolerance}`);

test('no method leaves what was seen', () => {
  for (const method of CLIPPING) {
    for (const [name, values] of Object.entries(ALL)) {
      const seen = histogramOf(values).range;
      const { min, max } = rangeOf(method, values);
      assert.ok(seen.min <= min && min < max && max <= seen.max, `${method} of ${name}: ${min} to ${max}`);
    }
  }
});

test('a tensor that begins or ends at 0 is clipped at its other end alone', () => {
  for (const method of CLIPPING) {
    const { min, max } = rangeOf(method, RELU);
    assert.equal(min, 0);
    assert.ok(max < (method === 'mse' ? 61 : 30), `${method} clips at ${max}`);
    const mirrored = rangeOf(
      method,
      RELU.map((value) => -value),
    );
    assert.equal(mirrored.max, 0);
    near(mirrored.min, -max, 0.05 * max);
  }
});

test('a tensor that never comes near 0 keeps the end that is nearer to it', () => {
  const values = NORMAL.map((value) => 100 + value);
  for (const method of CLIPPING)
    assert.equal(
      rangeOf(method, values).min,
      values.reduce((a, b) => Math.min(a, b)),
    );
});

test('percentile: the quantiles of the sorted values', () => {
  for (const percentile of [99, 99.9, 99.99]) {
    for (const values of [NORMAL, UNIFORM, SWISH]) {
      const sorted = values.toSorted();
      const tail = ((1 - percentile / 100) / 2) * sorted.length;
      const { min, max } = rangeOf('percentile', values, { percentile });
      const bin = histogramOf(values).width;
      near(min, sorted[Math.round(tail)] as number, 2 * bin + 0.02);
      near(max, sorted[Math.round(sorted.length - tail)] as number, 2 * bin + 0.02);
    }
    const sorted = RELU.toSorted();
    const { max } = rangeOf('percentile', RELU, { percentile });
    near(max, sorted[Math.round((sorted.length * percentile) / 100)] as number, 0.05);
  }
  assert.deepEqual(rangeOf('percentile', OUTLIERS, { percentile: 100 }), histogramOf(OUTLIERS).range);
  assert.deepEqual(rangeOf('percentile', OUTLIERS), rangeOf('percentile', OUTLIERS, { percentile: 99.99 }));
});

test('entropy: the candidate with the smallest divergence, as the distributions written out give it', () => {
  for (const values of [OUTLIERS, RELU, SWISH]) {
    const histogram = histogramOf(values);
    const { counts, low, width, range } = histogram;
    const levelled = withoutZeros(histogram);
    const zero = range.min >= 0 ? 0 : Math.round(-low / width);
    const found = rangeOf('entropy', values);
    const [from, to] = [Math.floor((found.min - low) / width), Math.ceil((found.max - low) / width)];
    const own = divergence(levelled, from, to);
    for (let threshold = 8; threshold < counts.length; threshold += 40) {
      const candidate = [Math.max(0, zero - threshold), Math.min(counts.length, zero + threshold)] as const;
      if (candidate[1] - candidate[0] <= 256) continue;
      assert.ok(own <= divergence(levelled, ...candidate) + 1e-9, `${found.min} to ${found.max}, not ${candidate}`);
    }
  }
});

/** KL(P || Q) from two arrays, step by step as the slides describe. */
function divergence(counts: Float64Array, from: number, to: number): number {
  const inside = counts.slice(from, to);
  const sum = (list: Float64Array) => list.reduce((a, b) => a + b, 0);
  const p = inside.slice();
  (p[0] as number) += sum(counts.slice(0, from));
  (p[p.length - 1] as number) += sum(counts.slice(to));
  const q = new Float64Array(inside.length);
  for (let level = 0; level < 256; level++) {
    const start = Math.floor((level * inside.length) / 256);
    const end = Math.floor(((level + 1) * inside.length) / 256);
    const part = inside.slice(start, end);
    const filled = part.filter((count) => count > 0).length;
    for (let i = start; i < end; i++) q[i] = (inside[i] as number) > 0 ? sum(part) / filled : 0;
  }
  const [pSum, qSum] = [sum(p), sum(q)];
  return p.reduce((kl, count, i) => {
    if (count === 0) return kl;
    const share = count / pSum;
    return kl + share * Math.log(share / ((q[i] || 1e-4) / qSum));
  }, 0);
}

test('entropy: clips outliers, and leaves a uniform distribution as it is', () => {
  const { min, max } = rangeOf('entropy', OUTLIERS);
  assert.ok(max > 3 && max < 20 && min < -3 && min > -20, `${min} to ${max}`);
  const uniform = rangeOf('entropy', UNIFORM);
  near(uniform.min, -2, 0.1);
  near(uniform.max, 3, 0.1);
});

/** The mean squared error of quantising values to 256 levels over a range that includes 0. */
function trueError(values: Float32Array, { min, max }: Range): number {
  const [low, high] = [Math.min(0, min), Math.max(0, max)];
  const step = (high - low) / 255;
  const zero = Math.round(-low / step);
  return (
    values.reduce((sum, value) => {
      const level = Math.min(255, Math.max(0, Math.round(value / step) + zero));
      return sum + (value - (level - zero) * step) ** 2;
    }, 0) / values.length
  );
}

test('mse: no range on a grid quantises the values themselves much better', () => {
  for (const values of [OUTLIERS, RELU, SWISH, UNIFORM]) {
    const found = rangeOf('mse', values);
    const own = trueError(values, found);
    const sample = values.subarray(-20_000);
    const { min, max } = histogramOf(values).range;
    for (let a = 1; a <= 32; a++) {
      for (let b = 1; b <= 32; b++) {
        if (min >= 0 && b < 32) continue;
        const other = { min: (min * b) / 32, max: (max * a) / 32 };
        const rough = trueError(sample, other);
        if (rough > own * 1.2) continue;
        assert.ok(own <= 1.03 * trueError(values, other), `${found.min} to ${found.max}, not to ${other.max}`);
      }
    }
    assert.ok(own <= trueError(values, { min, max }) * 1.01);
  }
});

test('entropy and mse: zeros, which quantisation represents exactly, do not move the range', () => {
  const zeros = Float32Array.from([...RELU, ...new Float32Array(2_000_000)]);
  for (const method of ['entropy', 'mse']) assert.deepEqual(rangeOf(method, zeros), rangeOf(method, RELU));
});

test('a method that is not there is refused with those that are', () => {
  assert.throws(() => calibratorNamed('median'), { kind: 'invalid', message: /'median'/, fix: /minmax.*mse/ });
  assert.equal(new Set(calibratorNames).size, calibratorNames.length);
});
