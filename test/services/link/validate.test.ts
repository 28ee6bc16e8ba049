import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TierbedError } from '../../../base/errors.js';
import type { DirectionSettings, LinkSettings } from '../../../services/link/types.js';
import { validateLinkSettings } from '../../../services/link/validate.js';

const good: DirectionSettings = { rateMbps: 10, delayMs: 5, jitterMs: 1, queueBytes: 65_536 };
const link = (down: Partial<DirectionSettings>): LinkSettings => ({
  name: 'mobile-edge',
  up: good,
  down: { ...good, ...down },
});

test('sound settings pass, with and without a rate', () => {
  validateLinkSettings(link({}));
  validateLinkSettings(link({ rateMbps: 0 }));
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
