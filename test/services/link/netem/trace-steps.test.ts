import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deliverySteps, TraceSchedule } from '../../../../services/link/netem/trace-steps.js';
import type { DirectionSettings } from '../../../../services/link/types.js';

const base: DirectionSettings = { rateMbps: 10, delayMs: 20, jitterMs: 0, queueBytes: 65_536 };

test('a step sets what it names and leaves the rest; the trace begins again at its end', () => {
  const schedule = new TraceSchedule(base, {
    kind: 'steps',
    lengthMs: 1000,
    steps: [
      { atMs: 100, rateMbps: 5 },
      { atMs: 400, delayMs: 50, lossPct: 1 },
    ],
  });
  const at = (ms: number) => schedule.at(ms);
  assert.deepEqual(at(0), { settings: base, untilMs: 100 });
  assert.deepEqual(at(100), { settings: { ...base, rateMbps: 5 }, untilMs: 400 });
  assert.deepEqual(at(399.9), { settings: { ...base, rateMbps: 5 }, untilMs: 400 });
  assert.deepEqual(at(400), { settings: { ...base, delayMs: 50, lossPct: 1 }, untilMs: 1000 });
  assert.deepEqual(at(3150), { settings: { ...base, rateMbps: 5 }, untilMs: 3400 });
  assert.deepEqual(at(3999), { settings: { ...base, delayMs: 50, lossPct: 1 }, untilMs: 4000 });
});

test('deliveries are full packets over a tenth of a second', () => {
  // Ten a bin, then twenty.
  const atMs = [
    ...Array.from({ length: 10 }, (_, i) => 10 * (i + 1)),
    ...Array.from({ length: 20 }, (_, i) => 105 + 5 * i),
  ];
  assert.deepEqual(deliverySteps(atMs, 200), [
    { atMs: 0, rateMbps: 1.2112 },
    { atMs: 100, rateMbps: 2.4224 },
  ]);
  assert.deepEqual(deliverySteps([10, 20, 110, 120], 200), [{ atMs: 0, rateMbps: 0.24224 }], 'equal bins are one step');
});

test('a last bin that is cut short counts as long as it is', () => {
  assert.deepEqual(deliverySteps([50, 100, 140], 140), [
    { atMs: 0, rateMbps: 0.24224 },
    { atMs: 100, rateMbps: 0.3028 },
  ]);
});

test('where nothing is delivered one packet takes all of that time, and the link is never unlimited', () => {
  assert.deepEqual(deliverySteps([100, 501, 600], 600), [
    { atMs: 0, rateMbps: 0.12112 },
    { atMs: 100, rateMbps: 0.03028 },
    { atMs: 500, rateMbps: 0.24224 },
  ]);
});
