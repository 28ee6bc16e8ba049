import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TierbedError } from '../../../base/errors.js';
import type { DirectionSettings, LinkSettings, LinkTrace, TraceStep } from '../../../services/link/types.js';
import { validateLinkSettings } from '../../../services/link/validate.js';

const good: DirectionSettings = { rateMbps: 10, delayMs: 5, jitterMs: 1, queueBytes: 65_536 };
const link = (down: Partial<DirectionSettings>): LinkSettings => ({
  name: 'mobile-edge',
  up: good,
  down: { ...good, ...down },
});

const steps = (all: readonly TraceStep[], lengthMs = 1000): LinkTrace => ({ kind: 'steps', steps: all, lengthMs });

test('sound settings pass, with and without a rate', () => {
  validateLinkSettings(link({}));
  validateLinkSettings(link({ rateMbps: 0 }));
  validateLinkSettings(
    link({ jitterDistribution: 'pareto', lossPct: 100, lossBurstPackets: 1, trace: steps([{ atMs: 0, delayMs: 3 }]) }),
  );
  validateLinkSettings(link({ trace: { kind: 'deliveries', atMs: [0, 0, 5], lengthMs: 5 } }));
  validateLinkSettings({ name: 'edge-cloud', up: good, down: { delayMs: 0, jitterMs: 0, queueBytes: 1514 } });
});

test('each wrong setting is refused with its key, its value and a fix', () => {
  const wrong: Partial<DirectionSettings>[] = [
    { rateMbps: -1 },
    { rateMbps: Number.NaN },
    { rateMbps: 1e9 },
    { rateMbps: 1e-9 },
    { delayMs: -0.1 },
    { delayMs: Number.NaN },
    { delayMs: 3_600_000 },
    { delayMs: '5' as unknown as number },
    { jitterMs: -1 },
    { jitterMs: Number.POSITIVE_INFINITY },
    { queueBytes: 1513 },
    { queueBytes: Number.NaN },
    { queueBytes: 1e12 },
    { lossPct: -1 },
    { lossPct: 100.1 },
    { lossPct: Number.NaN },
    { lossBurstPackets: 0.9 },
    { lossBurstPackets: Number.POSITIVE_INFINITY },
    { jitterDistribution: 'cauchy' as 'normal' },
  ];
  for (const settings of wrong) {
    const key = Object.keys(settings)[0] as keyof DirectionSettings;
    assert.throws(
      () => validateLinkSettings(link(settings)),
      (error) => {
        assert.ok(error instanceof TierbedError);
        assert.equal(error.kind, 'invalid');
        assert.ok(error.message.startsWith(`mobile-edge.down.${key} is ${settings[key]}:`), error.message);
        assert.ok(error.fix);
        return true;
      },
    );
  }
});

test('a link that joins no two tiers is refused', () => {
  const odd = { ...link({}), name: 'mobile-cloud' as LinkSettings['name'] };
  assert.throws(() => validateLinkSettings(odd), /'mobile-cloud'/);
});

test('a trace that cannot be is refused by name and time', () => {
  const cases: [LinkTrace, RegExp][] = [
    [steps([]), /down\.trace has 0 entries/],
    [steps([{ atMs: 0 }], 0), /down\.trace lasts 0 ms/],
    [steps([{ atMs: 0 }], Number.NaN), /down\.trace lasts NaN ms/],
    [steps([{ atMs: 0 }, { atMs: 0 }]), /down\.trace has the time 0 ms after 0 ms/],
    [steps([{ atMs: 1001 }]), /down\.trace has the time 1001 ms/],
    [steps([{ atMs: -1 }]), /down\.trace has the time -1 ms/],
    [steps([{ atMs: 5, delayMs: -1 }]), /down\.trace at 5 ms\.delayMs is -1/],
    [steps([{ atMs: 5, lossPct: 101 }]), /down\.trace at 5 ms\.lossPct is 101/],
    [steps([{ atMs: 5, rateMbps: 0 }]), /down\.trace has the rate 0 at 5 ms/],
    [{ kind: 'deliveries', atMs: [3, 2], lengthMs: 5 }, /down\.trace has the time 2 ms after 3 ms/],
    [{ kind: 'deliveries', atMs: new Array(500_001).fill(1), lengthMs: 5 }, /down\.trace has 500001 entries/],
    [{ kind: 'waves' } as unknown as LinkTrace, /down\.trace is neither/],
  ];
  for (const [trace, words] of cases) {
    assert.throws(
      () => validateLinkSettings(link({ trace })),
      (error) => error instanceof TierbedError && error.kind === 'invalid' && words.test(error.message) && !!error.fix,
      String(words),
    );
  }
});
