import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JitterTable, jitterTable } from '../../../../services/link/netem/jitter-table.js';
import { JITTER_DISTRIBUTIONS } from '../../../../services/link/validate.js';

/** What netem makes of a table, in standard deviations of the delay. */
const scaled = ({ table, factor }: JitterTable): number[] => table.map((entry) => (entry * factor) / 8192);
const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
const sdOf = (values: readonly number[]): number => Math.sqrt(mean(values.map((x) => (x - mean(values)) ** 2)));

for (const distribution of JITTER_DISTRIBUTIONS) {
  test(`the table of ${distribution} has mean 0 and deviation 1, and fits its 16 bits`, () => {
    const made = jitterTable(distribution, Number.POSITIVE_INFINITY);
    assert.equal(made.table.length, 4096);
    assert.ok(made.table.every((entry) => Number.isInteger(entry) && Math.abs(entry) <= 32_767));
    const values = scaled(made);
    assert.ok(Math.abs(mean(values)) < 1e-3, `mean ${mean(values)}`);
    assert.ok(Math.abs(sdOf(values) - 1) < 1e-3, `deviation ${sdOf(values)}`);
  });
}

test('shapes differ as they should', () => {
  const quantile = (distribution: (typeof JITTER_DISTRIBUTIONS)[number], q: number) =>
    scaled(jitterTable(distribution, Number.POSITIVE_INFINITY))[Math.round(q * 4095)] as number;
  assert.ok(Math.abs(quantile('normal', 0.975) - 1.96) < 0.03);
  assert.ok(Math.abs(quantile('normal', 0.5)) < 0.02);
  assert.ok(Math.abs(quantile('uniform', 1) - Math.sqrt(3)) < 0.01);
  assert.ok(Math.abs(quantile('uniform', 0.75) - Math.sqrt(3) / 2) < 0.02);
  // Pareto: most a little early, few very late.
  assert.ok(quantile('pareto', 0.5) < -0.2 && quantile('pareto', 0) > -0.7 && quantile('pareto', 1) > 8);
  assert.ok(quantile('paretonormal', 0) < -0.9 && quantile('paretonormal', 1) > 7);
});

test('no delay becomes negative: the table ends where it would', () => {
  const values = scaled(jitterTable('normal', 1.5));
  assert.ok(Math.min(...values) >= -1.5 - 1e-3);
  assert.ok(mean(values) > 0.02, 'what is clipped moves the mean up');
});
