import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { type Histogram, HistogramBuilder, withoutZeros } from '../../../operators/quantise/histogram.js';

const normal = (n: number, mean: number, sd: number, seed = 1): Float32Array =>
  new Random(seed).fillNormal(new Float32Array(n), mean, sd);

function histogramOf(...batches: readonly Float32Array[]): Histogram {
  const builder = new HistogramBuilder();
  for (const batch of batches) assert.ok(builder.add(batch));
  return builder.histogram() as Histogram;
}

/** Every value counted where it belongs, in the bins that the histogram ended with. */
function countedAfresh({ counts, low, width }: Histogram, batches: readonly Float32Array[]): Float64Array {
  const expected = new Float64Array(counts.length);
  for (const batch of batches)
    for (const value of batch) (expected[Math.floor(value / width) - low / width] as number) += 1;
  return expected;
}

test('values beyond the range widen the bins, and every value is in the bin where it belongs', () => {
  const series: Float32Array[][] = [
    [normal(1000, 0, 1), normal(1000, 0, 1, 2)],
    [1e-3, 1e-2, 1, 50, 3000].map((sd, i) => normal(1000, 0, sd, i)),
    [0, 5, -7, 100, 101, -1e6].map((mean, i) => normal(1000, mean, 1, i)),
    [Float32Array.of(0), Float32Array.of(0, 0), normal(1000, 3, 0.01)],
    [Float32Array.of(5), normal(1000, 5, 1)],
    [Float32Array.of(1e30, -1e30), normal(1000, 0, 1)],
    [Float32Array.of(-1e-40, -3e-41, 2e-45), normal(100, -1, 0.1)],
    [new Float32Array(0), Float32Array.of(-1, 1)],
  ];
  for (const batches of series) {
    const histogram = histogramOf(...batches);
    const all = batches.flatMap((batch) => [...batch]);
    assert.deepEqual(histogram.range, { min: Math.min(...all), max: Math.max(...all) });
    assert.ok(histogram.counts.length <= 4096 && histogram.counts.length > 1);
    assert.ok((histogram.counts[0] as number) > 0 && (histogram.counts.at(-1) as number) > 0);
    assert.deepEqual(histogram.counts, countedAfresh(histogram, batches));
  }
});

test('bins are fine, whatever the order in which values come', () => {
  const small = normal(1000, 0, 1);
  const large = normal(1000, 0, 200, 2);
  for (const batches of [
    [small, large],
    [large, small],
  ]) {
    const { counts, range, width } = histogramOf(...batches);
    assert.ok(counts.length > 1024, `${counts.length} bins`);
    assert.ok(width <= (range.max - range.min) / 1024);
  }
});

test('0 is the edge of a bin', () => {
  const { low, width } = histogramOf(normal(1000, 0.3, 1));
  assert.ok(Number.isInteger(low / width));
  assert.equal(histogramOf(normal(1000, 0, 1).map(Math.abs), Float32Array.of(0)).low, 0);
});

test('a constant is one bin, and nothing is no histogram', () => {
  for (const value of [0, 5, -1e30, 1e-42]) {
    const { counts, range } = histogramOf(new Float32Array(10).fill(value), new Float32Array(5).fill(value));
    assert.deepEqual(counts, Float64Array.of(15));
    assert.equal(range.min, Math.fround(value));
    assert.equal(range.max, Math.fround(value));
  }
  assert.equal(new HistogramBuilder().histogram(), undefined);
});

test('NaN and infinite values are refused, and nothing is added', () => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    const builder = new HistogramBuilder();
    builder.add(Float32Array.of(1, 2));
    const before = builder.histogram();
    assert.equal(builder.add(Float32Array.of(7, bad, 3)), false);
    assert.deepEqual(builder.histogram(), before);
  }
});

test('the zeros of a Relu count no more than their neighbours', () => {
  const values = normal(100_000, 0, 1).map(Math.abs);
  const zeros = new Float32Array(1_000_000);
  const levelled = withoutZeros(histogramOf(values, zeros));
  assert.equal(levelled[0], levelled[1]);
  assert.deepEqual(levelled.slice(1), histogramOf(values).counts.slice(1));
  const above = histogramOf(Float32Array.of(1, 1, 1, 2));
  assert.deepEqual(withoutZeros(above), above.counts);
});
