import assert from 'node:assert/strict';
import { test } from 'node:test';
import { epochOrder, stepsPerEpoch } from '../../../operators/train/epoch-order.js';
import { learningRate } from '../../../operators/train/schedule.js';
import { resolveSettings } from '../../../operators/train/settings.js';
import type { ScheduleSpec } from '../../../operators/train/types.js';
import { farthest, torch } from './torch.js';

/** Of 12 steps, 3 an epoch. */
function rates(spec: ScheduleSpec): number[] {
  const { schedule } = resolveSettings({ schedule: spec });
  return Array.from({ length: 12 }, (_, step) => learningRate(schedule, 0.1, step, 12, Math.floor(step / 3)));
}

test('schedules have the rates of PyTorch', () => {
  const { cosine, step, 'warm-up': warmUp } = torch.schedules;
  assert.ok(farthest(rates({ kind: 'cosine', floor: 0.1 }), cosine ?? []) < 1e-9);
  assert.ok(farthest(rates({ kind: 'step', every: 2, factor: 0.2 }), step ?? []) < 1e-9);
  assert.ok(
    farthest(rates({ kind: 'cosine', warmupSteps: 4 }), warmUp ?? []) < 1e-9,
    String(rates({ kind: 'cosine', warmupSteps: 4 })),
  );
  assert.deepEqual(rates({ kind: 'constant' }), new Array(12).fill(0.1));
});

test('each epoch has all items in an order of its own, the same for the same seed', () => {
  const first = epochOrder(100, 7, 0);
  assert.deepEqual(first, epochOrder(100, 7, 0));
  assert.notDeepEqual(first, epochOrder(100, 7, 1));
  assert.notDeepEqual(first, epochOrder(100, 8, 0));
  assert.deepEqual(
    [...first].sort((a, b) => a - b),
    Array.from({ length: 100 }, (_, i) => i),
  );
  assert.equal(stepsPerEpoch(100, 32), 3);
});
