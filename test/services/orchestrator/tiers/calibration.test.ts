import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TierbedError } from '../../../../base/errors.js';
import { silent } from '../../../../base/progress.js';
import { CALIBRATION_CHECKSUM, calibrationJob, timeJobs } from '../../../../services/node/calibration-job.js';
import type { Testbed } from '../../../../services/orchestrator/runtimes/runtime.js';
import { calibrate, calibrationNotes, calibrationOf } from '../../../../services/orchestrator/tiers/calibration.js';
import { testNode } from '../../node/harness.js';

const never = new AbortController().signal;

test('the job gives the same result every time, and is timed as often as asked or as long as allowed', () => {
  assert.equal(calibrationJob(), CALIBRATION_CHECKSUM);
  const seven = timeJobs({ jobs: 7, withinMs: 60_000 });
  assert.equal(seven.length, 7);
  assert.ok(seven.every((ms) => ms > 0));
  assert.equal(timeJobs({ jobs: 1000, withinMs: 1 }).length, 5, 'a few are made however slow they are');
});

test('speed is throughput over that of an unlimited thread, and is held against the quota', () => {
  const own = [5, 5, 5];
  const even = calibrationOf('edge', [10, 10, 10, 10], own, 0.5);
  assert.deepEqual([even.jobs, even.medianMs, even.p90Ms, even.jitterMs], [4, 10, 10, 0]);
  assert.deepEqual([even.jobsPerSecond, even.speed], [100, 0.5]);
  const uneven = calibrationOf('edge', [5, 5, 5, 25], own, 0.5);
  assert.deepEqual([uneven.medianMs, uneven.speed, uneven.jitterMs], [5, 0.5, 10]);
  assert.deepEqual(calibrationNotes([even, uneven]), []);
  const [slow, ...more] = calibrationNotes([even, calibrationOf('cloud', [10], own, 1)]);
  assert.equal(more.length, 0);
  assert.match(slow ?? '', /cloud tier .* 50 % of a core's speed where 100 % was to be expected/);
  assert.equal(calibrationNotes([calibrationOf('cloud', [5.45], own, 1)]).length, 0);
  assert.equal(calibrationNotes([calibrationOf('mobile', [5], own, 0.25)]).length, 1);
});

test('nodes run it one after the other, and one that has no limit is to have a core', async (t) => {
  const node = { client: (await testNode(t)).control };
  const limits = async (tier: string): Promise<{ cpus: number; memoryMiB: number }> => {
    if (tier === 'mobile') throw new TierbedError('refused', 'cannot be limited');
    return { cpus: tier === 'edge' ? 0.5 : 4, memoryMiB: 1 };
  };
  const testbed = { nodes: { mobile: node, edge: node, cloud: node }, tiers: { limits } } as unknown as Testbed;
  const found = await calibrate(testbed, silent, never);
  assert.deepEqual(
    found.map(({ tier, promised }) => [tier, promised]),
    [
      ['mobile', 1],
      ['edge', 0.5],
      ['cloud', 1],
    ],
  );
  assert.ok(found.every(({ jobs, medianMs, speed }) => jobs >= 5 && medianMs > 0 && speed > 0));
  await assert.rejects(calibrate(testbed, silent, AbortSignal.abort()), { kind: 'cancelled' });
});

test('an order that makes no sense is refused by the node', async (t) => {
  const { control } = await testNode(t);
  for (const order of [
    { jobs: 0, withinMs: 10 },
    { jobs: 5, withinMs: 0 },
    { jobs: 5, withinMs: 1e9 },
  ]) {
    await assert.rejects(control.calibrate(order), { kind: 'invalid', message: /calibration/ });
  }
});
