import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultRequestOf } from '../../cli/commands/fault.js';
import { linkPatchOf } from '../../cli/link-options.js';
import { oneOf } from '../../cli/names.js';
import { numberOption, secondsOption } from '../../cli/numbers.js';

test('link options are a patch, checked before anything is sent', () => {
  assert.deepEqual(linkPatchOf({ rateMbps: '10', delayMs: '25', jitterMs: '3', lossPct: '0.1', direction: 'up' }), {
    ...{ direction: 'up', rateMbps: 10, delayMs: 25, jitterMs: 3, lossPct: 0.1 },
  });
  assert.deepEqual(linkPatchOf({ preset: '3g' }), { direction: 'both', preset: '3g' });
  assert.equal(linkPatchOf({ rateMbps: 'unlimited' }).rateMbps, 0);
  assert.equal(linkPatchOf({ distribution: 'pareto', lossBurst: '4', queueBytes: '2000' }).lossBurstPackets, 4);
  const cases: [object, RegExp, RegExp][] = [
    [{ rateMbps: '0' }, /--rate-mbps 0/, /--rate-mbps unlimited/],
    [{ rateMbps: '-1' }, /--rate-mbps -1/, /unlimited/],
    [{ rateMbps: 'fast' }, /--rate-mbps fast: not a number/, /Mbit\/s/],
    [{ rateMbps: 'Infinity' }, /not a number/, /Mbit/],
    [{ delayMs: '-5' }, /--delay-ms -5/, /at least 0/],
    [{ delayMs: '1e9' }, /--delay-ms 1e9/, /in that range/],
    [{ lossPct: '101' }, /--loss-pct 101/, /in that range/],
    [{ queueBytes: '10' }, /--queue-bytes 10/, /one packet/],
    [{ queueBytes: '2000.5' }, /a whole number/, /bytes/],
    [{ preset: '3q' }, /no link preset '3q'/, /'3g'/],
    [{ direction: 'upp', delayMs: '1' }, /no direction 'upp'/, /'up'/],
    [{ direction: 'up' }, /nothing to set/, /--rate-mbps/],
  ];
  for (const [flags, message, fix] of cases) {
    assert.throws(() => linkPatchOf(flags), { kind: 'usage', message, fix }, JSON.stringify(flags));
  }
});

test('names and numbers', () => {
  assert.equal(oneOf('tier', 'edge', ['edge', 'cloud']), 'edge');
  assert.throws(() => oneOf('tier', 'edje', ['edge', 'cloud']), { kind: 'usage', fix: /'edge'/ });
  assert.throws(() => oneOf('tier', 'zzzzzzz', ['edge', 'cloud']), { fix: 'Use one of: edge, cloud.' });
  assert.deepEqual(
    ['10s', '500ms', '2min', '1h', '3', '.5s'].map((text) => secondsOption('--for', text)),
    [10, 0.5, 120, 3600, 3, 0.5],
  );
  for (const wrong of ['', '0s', '-1s', '10 years', 's'])
    assert.throws(() => secondsOption('--for', wrong), { kind: 'usage' }, wrong);
  assert.throws(() => numberOption('--n', '', { low: 0, high: 1, unit: 'x' }), { kind: 'usage' });
});

test('fault options are a spec', () => {
  assert.deepEqual(
    faultRequestOf('slow-cpu', { tier: 'edge', for: '10s', with: ['factor=4', 'hard=true', 'mode=a=b'] }),
    {
      ...{ fault: 'slow-cpu', tier: 'edge', forS: 10, factor: 4, hard: true, mode: 'a=b' },
    },
  );
  assert.throws(() => faultRequestOf('x', { with: ['factor'] }), { kind: 'usage', message: /--with factor/ });
  assert.throws(() => faultRequestOf('x', { link: 'edge', with: [] }), { kind: 'usage', message: /no link 'edge'/ });
});
