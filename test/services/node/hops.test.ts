import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accountedNs, HOP_TIMES, newHop, parseHops, sampleTimes } from '../../../services/node/hops.js';

test('every time of a record is accounted for', () => {
  const hop = newHop('edge', 0);
  const times = Object.keys(hop).filter((key) => key.endsWith('Ns'));
  assert.deepEqual([...HOP_TIMES].sort(), times.sort());
  for (const [i, part] of HOP_TIMES.entries()) hop[part] = 10 ** i;
  assert.equal(accountedNs(hop), 111_111_111_111);
});

test('what no part explains is other', () => {
  const a = { ...newHop('mobile', 0), computeNs: 2_000_000 };
  const b = { ...newHop('edge', 1), upNs: 500_000 };
  assert.deepEqual(sampleTimes(3_000_000, [a, b], 100_000), { endToEndMs: 3, postprocessMs: 0.1, otherMs: 0.4 });
});

test('records of another version are refused', () => {
  const hop = newHop('edge', 1);
  assert.deepEqual(parseHops(JSON.stringify([hop]), 'x'), [hop]);
  const { loadNs: _, ...without } = hop;
  for (const text of [undefined, 'no', '[]', '{}', '[null]', JSON.stringify([without])]) {
    assert.throws(() => parseHops(text, 'edge:1'), { kind: 'invalid', message: /edge:1/ });
  }
});
