import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PARTS, type SampleRow } from '../../analysis/columns.js';
import { summaryTable, summaryWords } from '../../analysis/report-table.js';
import { type StrategySummary, type Summary, summarise } from '../../analysis/summary.js';
import { metric } from '../../workloads/metrics/index.js';
import { okRow } from './rows.js';

const STRATEGY = { id: 's', workload: 'w', recipe: 'r', placement: 'edge', session: 'warm' };

async function* stream(rows: readonly SampleRow[]): AsyncGenerator<SampleRow> {
  yield* rows;
}

async function summaryOf(rows: readonly SampleRow[]) {
  const { strategies, notes } = await summarise(stream(rows), [STRATEGY], () => metric('top1'), {
    ...{ planned: rows.length, leastMs: () => 0, linksAfterwards: [] },
  });
  return { summary: strategies[0] as StrategySummary, notes };
}

/** A row whose latency is `ms`, all of it compute but for `otherMs`. */
function timed(ms: number, cells: SampleRow = {}, otherMs = 0): SampleRow {
  const parts = Object.fromEntries(PARTS.map((part) => [`${part}Ms`, 0]));
  return okRow({ endToEndMs: ms, ...parts, computeMs: ms - otherMs, otherMs, ...cells });
}

test('parts are means that add up to the mean latency exactly', async () => {
  // Each mean ends in a fraction of a ns that rounds up: what that adds, `other` gives back.
  const thirds = Object.fromEntries(PARTS.map((part) => [`${part}Ms`, part === 'other' ? 0.1 : 0]));
  const rows = [0.000001, 0.000001, 0].map((ns, i) =>
    okRow({ ...thirds, item: `${i}`, loadMs: 1 + ns, computeMs: 1 + ns, queueMs: 1 + ns, endToEndMs: 3.1 + 3 * ns }),
  );
  const { summary } = await summaryOf(rows);
  assert.equal(summary.partsMs?.load, 1.000001);
  assert.equal(summary.latencyMs.mean, 3.100002);
  const sumNs = Object.values(summary.partsMs ?? {}).reduce((sum, ms) => sum + Math.round(ms * 1e6), 0);
  assert.equal(sumNs, 3_100_002);
});

test('latency figures are of the samples that succeeded', async () => {
  const rows = [1, 2, 3, 4].map((ms) => timed(ms));
  const { summary } = await summaryOf([...rows, { ...timed(1000), status: 'failed' }]);
  assert.equal(summary.n, 4);
  assert.equal(summary.failed, 1);
  assert.equal(summary.latencyMs.p50, 2.5);
  assert.equal(summary.latencyMs.p90, 3.7);
  assert.equal(summary.latencyMs.mean, 2.5);
  assert.equal(summary.latencyMs.sd, 1.290994);
});

test('the interval is over items, however often each was repeated', async () => {
  const items = Array.from({ length: 8 }, (_, i) => i + 1);
  const once = await summaryOf(items.map((ms) => timed(ms, { item: `${ms}` })));
  assert.deepEqual(once.summary.latencyMs.ci95, [1, 8]);
  const often = await summaryOf(items.flatMap((ms) => [0, 1, 2, 3, 4].map(() => timed(ms, { item: `${ms}` }))));
  assert.deepEqual(often.summary.latencyMs.ci95, [1, 8]);
  const one = await summaryOf(items.map((ms) => timed(ms, { item: 'the same' })));
  assert.equal(one.summary.latencyMs.ci95, null);
});

test('accuracy and bytes come from the rows', async () => {
  const rows = ['cat', 'cat', 'dog', 'cat'].map((prediction, i) => timed(5, { prediction, hop1UpBytes: 100 * i }));
  const { summary } = await summaryOf(rows);
  assert.deepEqual(summary.accuracy, { metric: 'top1', value: 0.75, unit: 'fraction', better: 'higher' });
  assert.deepEqual(summary.bytes, { hop1Up: 150, hop1Down: 40, hop2Up: 0, hop2Down: 0 });
});

test('a strategy without a success has no figures, and says so', async () => {
  const { summary } = await summaryOf([{ ...timed(5), status: 'failed' }]);
  assert.equal(summary.n, 0);
  assert.equal(summary.latencyMs.p50, null);
  assert.equal(summary.partsMs, null);
  assert.equal(summary.accuracy.value, null);
});

test('an unnamed part that is too large is noted', async () => {
  const within = await summaryOf([timed(10, {}, 0.29), timed(10, {}, 0.29), timed(10, {}, 9)]);
  assert.deepEqual(within.notes, []);
  const share = await summaryOf([timed(100, {}, 1.9)]);
  assert.deepEqual(share.notes, []);
  const beyond = await summaryOf([timed(10, {}, 0.31)]);
  assert.match(beyond.notes[0] ?? '', /^in 1 of 1 strategies .* most in s \(0\.31 ms in the median, bound 0\.30 ms\)/);
});

test('the table marks the fastest of each session mode, and the words name it', async () => {
  const entry = (placement: string, session: string, ms: number, load: number): StrategySummary => ({
    ...{ id: `${placement}.${session}`, workload: 'w', recipe: 'whole', placement, session, n: 10, failed: 0 },
    latencyMs: { p50: ms, p90: ms, p99: ms, mean: ms, sd: 0, ci95: [ms - 0.1, ms + 0.1] },
    partsMs: {
      ...(Object.fromEntries(PARTS.map((part) => [part, 0])) as StrategySummary['partsMs'] & object),
      load,
      compute: ms - load,
    },
    accuracy: { metric: 'top1', value: 0.9, unit: 'fraction', better: 'higher' },
    bytes: { hop1Up: 0, hop1Down: 0, hop2Up: 0, hop2Down: 0 },
  });
  const summary: Summary = {
    ...{ study: 'x', startedAt: '', finishedAt: '', notes: [], faults: [], unreadable: [] },
    validity: { valid: true, reasons: [] },
    samples: { planned: 40, recorded: 40, failed: 0, underFault: 0 },
    strategies: [
      entry('edge', 'cold', 40, 20),
      entry('edge', 'warm', 20, 0),
      entry('mobile', 'warm', 10, 0),
      entry('mobile', 'cold', 50, 40),
    ],
  };
  const lines = summaryTable(summary)
    .split('\n')
    .filter((line) => /edge|mobile/.test(line));
  assert.deepEqual(
    lines.map((line) =>
      line
        .split('│')
        .slice(1, 3)
        .map((cell) => cell.trim())
        .join(' '),
    ),
    ['warm mobile *', 'warm edge', 'cold edge *', 'cold mobile'],
  );
  const words = summaryWords(summary).join('\n');
  assert.match(words, /Warm, w is fastest on mobile \(whole\): 10\.0 ms .*takes 2\.00 times as long/);
  assert.match(words, /Cold, w is fastest on edge/);
  assert.match(words, /loading the model is 50\.0 % to 80\.0 % of the latency/);
});

test('a metric is shown in its unit, and by its name where workloads have several', () => {
  const entry = (workload: string, accuracy: StrategySummary['accuracy']): StrategySummary => ({
    ...{ id: workload, workload, recipe: 'whole', placement: 'edge', session: 'warm', n: 10, failed: 0, accuracy },
    latencyMs: { p50: 1, p90: 1, p99: 1, mean: 1, sd: 0, ci95: null },
    partsMs: Object.fromEntries(PARTS.map((part) => [part, 0])) as StrategySummary['partsMs'] & object,
    bytes: { hop1Up: 0, hop1Down: 0, hop2Up: 0, hop2Down: 0 },
  });
  const summary = (strategies: readonly StrategySummary[]): Summary => ({
    ...{ study: 'x', startedAt: '', finishedAt: '', notes: [], faults: [], unreadable: [], strategies },
    validity: { valid: true, reasons: [] },
    samples: { planned: 20, recorded: 20, failed: 0, underFault: 0 },
  });
  const mse = entry('sound', { metric: 'mse', value: 0.0123456, unit: 'number', better: 'lower' });
  const top5 = entry('photos', { metric: 'top5', value: 0.982, unit: 'fraction', better: 'higher' });
  const alone = summaryTable(summary([mse]));
  assert.match(alone, /│ mse +│/);
  assert.match(alone, /│ 0\.01235 │/);
  const both = summaryTable(summary([mse, top5]));
  assert.match(both, /│ 0\.01235 mse │/);
  assert.match(both, /│ +98\.2 % top5 │/);
});

test('items that cannot be read are counted and named', () => {
  const summary = {
    ...{ study: 'x', startedAt: '', finishedAt: '', notes: [], faults: [], strategies: [] },
    validity: { valid: true, reasons: [] },
    samples: { planned: 0, recorded: 0, failed: 0, underFault: 0 },
    unreadable: [
      { workload: 'w', item: 'a.jpg', reason: 'it is cut short' },
      { workload: 'v', item: 'c.jpg', reason: 'it is not there' },
      { workload: 'w', item: 'b.jpg', reason: 'it is empty' },
    ],
  };
  const words = summaryWords(summary).join('\n');
  assert.match(words, /2 items of w cannot be read and are in no figure: a\.jpg \(it is cut short\); summary\.json/);
  assert.match(words, /One item of v cannot be read and is in no figure: c\.jpg \(it is not there\)\./);
});
