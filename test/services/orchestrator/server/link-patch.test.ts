import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LinkSettings } from '../../../../services/link/types.js';
import { patchLink } from '../../../../services/orchestrator/server/link-patch.js';

const LINK: LinkSettings = {
  name: 'mobile-edge',
  up: { rateMbps: 5, delayMs: 1, jitterMs: 0.5, lossPct: 2, queueBytes: 5000 },
  down: { rateMbps: 9, delayMs: 2, jitterMs: 0, queueBytes: 6000 },
};

test('what is not named stays as it is', () => {
  assert.deepEqual(patchLink(LINK, { direction: 'up', delayMs: 7 }), { ...LINK, up: { ...LINK.up, delayMs: 7 } });
  const both = patchLink(LINK, { rateMbps: 0, lossPct: 1 });
  assert.deepEqual(both.up, { ...LINK.up, rateMbps: 0, lossPct: 1 });
  assert.deepEqual(both.down, { ...LINK.down, rateMbps: 0, lossPct: 1 });
  assert.deepEqual(patchLink(LINK, { blocked: true }), { ...LINK, blocked: true });
  assert.deepEqual(patchLink({ ...LINK, blocked: true }, { blocked: false }), { ...LINK, blocked: false });
  assert.equal(patchLink({ ...LINK, blocked: true }, { delayMs: 1 }).blocked, true);
});

test('a preset gives every setting, and what is named beside it goes before', () => {
  const link = patchLink(LINK, { preset: '3g', delayMs: 10 });
  assert.equal(link.up.rateMbps, 0.768);
  assert.equal(link.down.rateMbps, 1.6);
  assert.equal(link.up.delayMs, 10);
  assert.equal(link.up.lossPct, undefined);
  assert.deepEqual(patchLink(LINK, { preset: '3g', direction: 'down' }).up, LINK.up);
  assert.throws(() => patchLink(LINK, { preset: '3q' }), { kind: 'invalid', fix: /'3g'/ });
});

test('a trace ends where it would override what is named', () => {
  const trace = { kind: 'steps', steps: [{ atMs: 0, rateMbps: 1 }], lengthMs: 10 } as const;
  const traced = { ...LINK, up: { ...LINK.up, trace }, down: { ...LINK.down, trace } };
  assert.equal(patchLink(traced, { rateMbps: 3, direction: 'up' }).up.trace, undefined);
  assert.deepEqual(patchLink(traced, { rateMbps: 3, direction: 'up' }).down.trace, trace);
  assert.deepEqual(patchLink(traced, { queueBytes: 9000 }).up.trace, trace);
});

test('nothing, and what no link can be, is refused', () => {
  assert.throws(() => patchLink(LINK, { direction: 'up' }), { kind: 'invalid', message: /nothing to set/ });
  assert.throws(() => patchLink(LINK, { delayMs: 20_000 }), { kind: 'invalid', message: /mobile-edge\.up\.delayMs/ });
  assert.throws(() => patchLink(LINK, { queueBytes: 10 }), { kind: 'invalid', message: /queueBytes/ });
});
