// What the proof says of links that have packets of their own, over links that are computed: no clock, no machine.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { binomialRange } from '../../../../analysis/stats/binomial-range.js';
import type { DirectionSettings, LinkSettings } from '../../../../services/link/types.js';
import { expectation } from '../../../../services/link/verify/expect.js';
import { judgeLoss } from '../../../../services/link/verify/judge.js';
import { type LinkReport, verifyLinks } from '../../../../services/link/verify/verify.js';
import { deliveryWindow } from '../../../../services/link/verify/verify-trace.js';
import { simulatedLinks } from './simulated-probe.js';

const docker = { toleranceMs: 0.5, tolerancePct: 2, attempts: 3 };
const base: DirectionSettings = { rateMbps: 20, delayMs: 10, jitterMs: 0, queueBytes: 262_144 };

function link(
  name: LinkSettings['name'],
  up: Partial<DirectionSettings> = {},
  more: Partial<LinkSettings> = {},
): LinkSettings {
  return { name, up: { ...base, ...up }, down: { ...base }, ...more };
}

const wrong = (report: LinkReport) =>
  report.figures.filter(({ ok }) => !ok).map((f) => `${f.link} ${f.direction} ${f.figure}`);

/** What is said to be wrong with the way up of mobile-edge when it is `really` so and was to be `set`. */
async function found(set: Partial<DirectionSettings>, really: Partial<DirectionSettings>): Promise<string[]> {
  const report = await verifyLinks(simulatedLinks([link('mobile-edge', really)]), [link('mobile-edge', set)], docker);
  return wrong(report).map((figure) => figure.replace('mobile-edge ', ''));
}

test('links that do what was set are found in order, whatever that is', async () => {
  for (const settings of [
    {},
    { rateMbps: 1, delayMs: 100 },
    { rateMbps: 0.02 },
    { rateMbps: 400, delayMs: 50 },
    { rateMbps: 0, jitterMs: 3 },
    { jitterMs: 4, jitterDistribution: 'pareto' as const, delayMs: 30 },
    { jitterMs: 2, jitterDistribution: 'uniform' as const },
    { lossPct: 1 },
    { lossPct: 0.1, rateMbps: 100 },
    { lossPct: 8, lossBurstPackets: 6 },
    { lossPct: 20, jitterMs: 1, delayMs: 40 },
  ]) {
    const set = [link('mobile-edge', settings), link('edge-cloud', { rateMbps: 50 })];
    const report = await verifyLinks(simulatedLinks(set, 7), set, docker);
    assert.deepEqual(wrong(report), [], JSON.stringify(settings));
    assert.ok(report.figures.some(({ figure, link: name }) => figure === 'lossPct' && name.includes('+')));
  }
});

test('what is off by more than 0.5 ms or 2 % is found, in its direction and as what it is', async () => {
  assert.deepEqual(await found({}, { delayMs: 10.4 }), []);
  assert.deepEqual(await found({}, { delayMs: 10.6 }), ['up delayMs', 'up messageMs']);
  assert.deepEqual(await found({ delayMs: 100 }, { delayMs: 101.9 }), []);
  assert.ok((await found({ delayMs: 100 }, { delayMs: 102.2 })).includes('up delayMs'));
  assert.deepEqual(await found({}, { rateMbps: 20.3 }), []);
  assert.deepEqual(await found({}, { rateMbps: 20.7 }), ['up rateMbps']);
  assert.ok((await found({ rateMbps: 100 }, { rateMbps: 750 })).includes('up rateMbps'));
  assert.deepEqual(await found({ rateMbps: 10 }, { rateMbps: 0 }), ['up messageMs', 'up rateMbps']);
  assert.ok((await found({ jitterMs: 3 }, { jitterMs: 0 })).includes('up jitterMs'));
});

test('losses are found by their share, and by how they come', async () => {
  assert.deepEqual(await found({ lossPct: 5 }, { lossPct: 2 }), ['up lossPct']);
  assert.deepEqual(await found({}, { lossPct: 5 }), ['up lossPct']);
  assert.deepEqual(await found({ lossPct: 2 }, {}), ['up lossPct']);
  const bursty = { lossPct: 5, lossBurstPackets: 8 };
  assert.ok((await found(bursty, { lossPct: 5 })).includes('up lossBurstPackets'));
});

test('a share of losses is held against chance, and chance is wider where they come in runs', () => {
  const judge = (lost: number, settings: Partial<DirectionSettings>) => {
    const arrivals = Array.from({ length: 1000 - lost }, (_, i) => ({ sequence: i + lost, sentMs: 0, arrivedMs: 1 }));
    return judgeLoss(arrivals, 1000, 'up', expectation([link('mobile-edge', settings)], 'up'))[0]?.ok;
  };
  const { low, high } = binomialRange(1000, 0.02, 0.999);
  assert.deepEqual([low, high], [7, 36]);
  assert.deepEqual(
    [6, 7, 36, 37].map((lost) => judge(lost, { lossPct: 2 })),
    [false, true, true, false],
  );
  assert.equal(judge(45, { lossPct: 2, lossBurstPackets: 5 }), true);
  assert.equal(judge(0, {}), true);
  assert.equal(judge(1, {}), false);
});

test('the binomial range holds the probability and no less', () => {
  assert.deepEqual(binomialRange(10, 0, 0.99), { low: 0, high: 0 });
  assert.deepEqual(binomialRange(10, 1, 0.99), { low: 10, high: 10 });
  // 2^-10 lies in each of the ends 0 and 10.
  assert.deepEqual(binomialRange(10, 0.5, 0.999), { low: 0, high: 10 });
  assert.deepEqual(binomialRange(10, 0.5, 0.99), { low: 1, high: 9 });
});

test('a blocked link is in order when nothing passes, and only then', async () => {
  const set = [link('mobile-edge'), link('edge-cloud', {}, { blocked: true })];
  const report = await verifyLinks(simulatedLinks(set), set, docker);
  assert.deepEqual(wrong(report), []);
  assert.equal(report.figures.filter(({ note }) => note === 'nothing is to pass').length, 2);
  const open = await verifyLinks(simulatedLinks([link('mobile-edge'), link('edge-cloud')]), set, docker);
  assert.deepEqual(wrong(open), ['edge-cloud both lossPct', 'mobile-edge + edge-cloud both lossPct']);
});

test('a trace of steps is measured as it begins, and begins when that is done', async () => {
  const steps = [
    { atMs: 0, rateMbps: 5, delayMs: 30 },
    { atMs: 500, rateMbps: 1 },
  ];
  const set = [link('mobile-edge', { trace: { kind: 'steps', steps, lengthMs: 1000 } })];
  const links = simulatedLinks(set);
  const report = await verifyLinks(links, set, docker);
  assert.deepEqual(wrong(report), []);
  const rate = report.figures.find(({ figure, direction }) => figure === 'rateMbps' && direction === 'up');
  assert.deepEqual([rate?.set, rate?.note], [5, 'as the trace begins']);
  assert.deepEqual(links.sets.at(-1), set[0]);
  assert.equal(links.sets[0]?.up.trace, undefined);
});

test('a trace of deliveries is counted while it runs', async () => {
  const atMs = Array.from({ length: 200 }, (_, i) => Math.floor(i / 2));
  const trace = { kind: 'deliveries' as const, atMs, lengthMs: 100 };
  const set = [link('mobile-edge', { trace })];
  const report = await verifyLinks(simulatedLinks(set), set, docker);
  assert.deepEqual(wrong(report), []);
  const counted = report.figures.find(({ note }) => note?.startsWith('the trace over'));
  assert.equal(counted?.set?.toFixed(3), '24.224');
  const half = { ...trace, atMs: atMs.filter((_, i) => i % 2) };
  const slow = simulatedLinks([link('mobile-edge', { trace: half })]);
  // Only what runs is slow: what is set again is what was said.
  slow.set = async () => {};
  assert.ok(wrong(await verifyLinks(slow, set, docker)).includes('mobile-edge up rateMbps'));
});

test('the rate of a long trace lies between its slowest and its fastest part', () => {
  const atMs = [...Array.from({ length: 5000 }, (_, i) => i), ...Array.from({ length: 500 }, (_, i) => 5000 + 10 * i)];
  const { windowMs, leastMbps, meanMbps, mostMbps, peakMbps } = deliveryWindow({
    kind: 'deliveries',
    atMs,
    lengthMs: 10_000,
  });
  assert.equal(windowMs, 3000);
  assert.deepEqual(
    [leastMbps, meanMbps, mostMbps, peakMbps].map((rate) => rate.toFixed(2)),
    ['1.21', '6.66', '12.11', '12.11'],
  );
});
