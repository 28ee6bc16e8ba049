import assert from 'node:assert/strict';
import { test } from 'node:test';
import { segmentsOf, superPacketsPass, wireBytesOf } from '../../../../services/link/nfqueue/wire-length.js';
import type { DirectionSettings } from '../../../../services/link/types.js';

test('a packet is 14 bytes longer on the wire, a super-packet has headers for each segment', () => {
  assert.equal(wireBytesOf(1500, 1), 1514);
  assert.equal(segmentsOf(52 + 1448, 1500), 1);
  assert.equal(segmentsOf(52 + 1449, 1500), 2);
  assert.equal(segmentsOf(52, 1500), 1);
  assert.equal(segmentsOf(40, 1500), 1);
  assert.equal(wireBytesOf(52 + 3 * 1448, segmentsOf(52 + 3 * 1448, 1500)), 3 * 1514);
});

test('super-packets pass whole only where nothing tells them from their segments', () => {
  const passes = (settings: Partial<DirectionSettings>) =>
    superPacketsPass({ delayMs: 10, jitterMs: 0, queueBytes: 1e6, ...settings });
  assert.ok(passes({}));
  assert.ok(passes({ rateMbps: 0 }));
  assert.ok(passes({ rateMbps: 1000, lossPct: 0 }));
  assert.equal(passes({ rateMbps: 500 }), false);
  assert.equal(passes({ lossPct: 0.1 }), false);
  assert.equal(passes({ jitterMs: 1 }), false);
  assert.equal(passes({ trace: { kind: 'deliveries', atMs: [1], lengthMs: 1 } }), false);
  const steps = (step: object) => passes({ trace: { kind: 'steps', lengthMs: 9, steps: [{ atMs: 0, ...step }] } });
  assert.ok(steps({ delayMs: 3 }));
  assert.equal(steps({ rateMbps: 1 }), false);
  assert.equal(steps({ lossPct: 1 }), false);
  assert.equal(steps({ jitterMs: 1 }), false);
});
