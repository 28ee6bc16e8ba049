import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Line, Side } from '../../bench/real-data-runs.js';
import { summary } from '../../bench/real-data-summary.js';

const run = (side: Side, seed: number, accuracy: number, key = 'k'): Line => ({
  ...{ kind: 'accuracy', side, data: 'd', operator: 'prune', seed, key },
  ...{ accuracy, items: 10, bytes: side === 'tierbed' ? 2000 : null, seconds: 120 },
});
const timing = (seed: number, ms: number): Line => ({
  ...{ kind: 'latency', side: 'tierbed', data: 'd', operator: 'prune', seed, key: 'k' },
  ...{ ms, identityMs: 4 },
});
const WANTED = [{ data: 'd', operator: 'prune', key: 'k' }];

test('a row has means over the seeds, sizes, and latency as the ratio to the identity', () => {
  const lines = [run('tierbed', 1, 80), run('tierbed', 2, 82), timing(1, 2), timing(2, 3), timing(3, 1)];
  const [row] = summary(lines, WANTED, [1, 2, 3]);
  assert.equal(row?.accuracy, 81);
  assert.equal(row?.accuracySeeds, 2);
  assert.equal(row?.kB, 2);
  assert.equal(row?.timesIdentity, 0.5);
  assert.equal(row?.torch, null);
  assert.equal(row?.verdict, null);
});

test('sides are told apart only beyond the interval of their difference', () => {
  const ours = [run('tierbed', 1, 80), run('tierbed', 2, 80.2), run('tierbed', 3, 79.8)];
  const verdict = (theirs: number[]) =>
    summary([...ours, ...theirs.map((accuracy, i) => run('pytorch', i + 1, accuracy))], WANTED, [1, 2, 3])[0]?.verdict;
  assert.equal(verdict([80.1, 80.3, 79.9]), 'no difference beyond the intervals');
  assert.equal(verdict([90.1, 90.3, 89.9]), 'worse than PyTorch');
  assert.equal(verdict([70.1, 70.3, 69.9]), 'better than PyTorch');
});

test('runs of another recipe and of other seeds do not count', () => {
  const lines = [run('tierbed', 1, 80), run('tierbed', 1, 10, 'old'), run('tierbed', 9, 10)];
  assert.equal(summary(lines, WANTED, [1, 2])[0]?.accuracy, 80);
});
