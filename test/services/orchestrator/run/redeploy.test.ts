import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tiersBefore } from '../../../../services/orchestrator/run/redeploy.js';

const on = (...placements: string[]) => placements.map((placement) => ({ placement }));

test('those that send straight to a node that began anew connect again', () => {
  assert.deepEqual(tiersBefore(on('mobile-edge'), ['edge']), ['mobile']);
  assert.deepEqual(tiersBefore(on('edge'), ['edge']), ['mobile'], 'mobile sends the item');
  assert.deepEqual(tiersBefore(on('mobile-edge-cloud'), ['cloud']), ['edge']);
  assert.deepEqual(tiersBefore(on('mobile-cloud', 'mobile-edge-cloud'), ['cloud']), ['mobile', 'edge']);
  assert.deepEqual(tiersBefore(on('mobile-edge-cloud'), ['edge', 'cloud']), ['mobile']);
  assert.deepEqual(tiersBefore(on('mobile', 'mobile-edge'), ['mobile']), []);
  assert.deepEqual(tiersBefore(on('mobile'), ['cloud']), []);
});
