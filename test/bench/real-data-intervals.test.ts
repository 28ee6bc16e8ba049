import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differenceOf, meanOf } from '../../bench/real-data-intervals.js';

const OURS = [80.1, 81.4, 79.6, 80.9, 80.2];

function near(found: number | null, expected: number, share = 1e-3): void {
  assert.ok(found !== null && Math.abs(found - expected) <= share * Math.abs(expected), `${found} for ${expected}`);
}

// What is expected comes from Student's distribution itself, integrated.
test('a mean over seeds has the interval of Student', () => {
  const { mean, half, n } = meanOf(OURS);
  near(mean, 80.44);
  near(half, 0.8806);
  assert.equal(n, 5);
  assert.equal(meanOf([3]).half, null);
});

test('a difference has the interval of Welch, never a narrower one', () => {
  const { mean, half } = differenceOf(OURS, [79.9, 81.1, 82.6]);
  near(mean, -0.76);
  near(half, 2.875, 0.02);
  assert.ok((half ?? 0) >= 2.875);
});

test('what never varies differs by what it differs', () => {
  assert.deepEqual(differenceOf([83, 83], [82, 82, 82]), { mean: 1, half: 0 });
  assert.equal(differenceOf([83], [82, 82]).half, null);
});
