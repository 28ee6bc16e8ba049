import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Exchange } from '../../../../services/link/probe/link-probe.js';
import type { Expected } from '../../../../services/link/verify/expect.js';
import { judgeMessage, judgePings, judgeRate } from '../../../../services/link/verify/judge.js';
import { clippedNormal } from '../../../../services/link/verify/normal.js';

const tolerance = { ms: 1, share: 0.03 };
const expected = (over: Partial<Expected> = {}): Expected => ({
  delayMs: 20,
  jitterMs: 0,
  kurtosis: 3,
  ratesMbps: [10],
  loss: 0,
  lossSpread: 1,
  lossBurstPackets: undefined,
  queueBytes: 65_536,
  ...over,
});

function exchange(upMs: number, downMs: number, over: Partial<Exchange> = {}): Exchange {
  const tail = { ms: 1, bytes: 1 };
  return { upMs, downMs, roundTripMs: upMs + downMs, upTail: tail, downTail: tail, ...over };
}

/** Times whose mean is `mean` and whose standard deviation is `sd`. */
const spread = (mean: number, sd: number) =>
  Array.from({ length: 30 }, (_, i) => mean + (i % 2 ? sd : -sd) * Math.sqrt(29 / 30));

const verdicts = (figures: readonly { direction: string; figure: string; ok: boolean }[]) =>
  Object.fromEntries(figures.map((f) => [`${f.direction} ${f.figure}`, f.ok]));

test('a delay is what remains without the time on the wire, and off by more than 1 ms or 3 % it is out', () => {
  // 48 bytes and 66 of headers at 10 Mbit/s: 0.0912 ms.
  const pings = [20.0912, 20.0912, 90].map((ms) => exchange(ms, 21.2));
  const figures = judgePings(pings, 48, expected(), expected(), tolerance);
  assert.equal(figures[0]?.measured.toFixed(6), '20.000000', 'the median, which one late ping does not move');
  assert.deepEqual(verdicts(figures), { 'up delayMs': true, 'down delayMs': false, 'both roundTripMs': true });
  const far = expected({ delayMs: 100 });
  const long = (ms: number) => verdicts(judgePings([exchange(ms, 100)], 48, far, far, tolerance))['up delayMs'];
  assert.equal(long(103), true);
  assert.equal(long(103.2), false);
  assert.equal(long(96.9), false, 'too early is as wrong as too late');
});

test('jitter is judged by spread, and the mean by its standard error', () => {
  const set = expected({ jitterMs: 6, ratesMbps: [0] });
  const judge = (times: number[]) =>
    judgePings(
      times.map((ms) => exchange(ms, 20)),
      48,
      set,
      expected({ ratesMbps: [0] }),
      tolerance,
    );
  const right = judge(spread(20, 6));
  assert.deepEqual(verdicts(right), {
    'up delayMs': true,
    'up jitterMs': true,
    'down delayMs': true,
    'both roundTripMs': true,
  });
  assert.equal(right[0]?.tolerance.toFixed(6), (1 + 18 / Math.sqrt(30)).toFixed(6));
  assert.equal(right[1]?.measured.toFixed(6), '6.000000');
  assert.equal(right[1]?.tolerance.toFixed(6), (1 + 18 / Math.sqrt(60)).toFixed(6));
  assert.equal(verdicts(judge(spread(20, 0)))['up jitterMs'], false, 'jitter that is not there');
  assert.equal(verdicts(judge(spread(20, 12)))['up jitterMs'], false, 'twice the jitter');
  assert.equal(verdicts(judge(spread(25, 6)))['up delayMs'], false);
});

test('a message takes its way through the slowest link', () => {
  const set = expected({ delayMs: 0, ratesMbps: [100, 10] });
  const at = (ms: number) => judgeMessage([exchange(ms, 0)], 10_000, 'up', set, tolerance);
  // Six full packets at 10 Mbit/s, the last one short, behind the first one's 0.12 ms at 100.
  assert.equal(at(8).set?.toFixed(3), '8.491');
  assert.equal(at(0.3).ok, false, 'what a burst would let through');
  assert.equal(at(9.4).ok, true);
  assert.equal(at(9.6).ok, false);
});

test('a rate counts headers and is off by 3 % at most', () => {
  const bulk = (payload: number) => exchange(0, 0, { downTail: { ms: 1000, bytes: payload } });
  const judge = (payload: number, set = expected()) => judgeRate(bulk(payload), 'down', set, tolerance);
  const full = (10e6 / 8) * (1448 / 1514);
  assert.equal(judge(full).measured.toFixed(6), '10.000000');
  assert.equal(judge(full * 1.029).ok, true);
  assert.equal(judge(full * 1.031).ok, false);
  assert.equal(judge(full * 0.969).ok, false);
  assert.equal(judge(full * 0.94, expected({ jitterMs: 20 })).ok, true, '3 % and three times 20 ms of a second');
  const unlimited = judge(full, expected({ ratesMbps: [0, undefined] }));
  assert.deepEqual([unlimited.set, unlimited.ok], [null, true]);
});

test('a delay that cannot be negative has the mean and the spread of a clipped normal', () => {
  assert.deepEqual(clippedNormal(5, 0), { mean: 5, sd: 0 });
  const far = clippedNormal(100, 5);
  assert.ok(Math.abs(far.mean - 100) < 1e-4 && Math.abs(far.sd - 5) < 1e-3);
  // Half of N(0, 1): E = 1 / sqrt(2 pi), variance 1/2 - 1 / (2 pi).
  const half = clippedNormal(0, 1);
  assert.ok(Math.abs(half.mean - 1 / Math.sqrt(2 * Math.PI)) < 1e-6);
  assert.ok(Math.abs(half.sd - Math.sqrt(0.5 - 1 / (2 * Math.PI))) < 1e-6);
});
