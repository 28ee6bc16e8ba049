import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SampleRow } from '../../analysis/columns.js';
import { ExitTally } from '../../analysis/exit-summary.js';
import { summaryWords } from '../../analysis/report-table.js';
import { type Summary, summarise } from '../../analysis/summary.js';
import { metric } from '../../workloads/metrics/index.js';
import { okRow } from './rows.js';

const STRATEGY = { id: 's', workload: 'w', recipe: 'exits', placement: 'mobile-edge', session: 'warm' };

/** Two that left at stage 0, one of them wrong; one that left at stage 1; two that went through. */
const ROWS: readonly SampleRow[] = [
  { exit: 0, endToEndMs: 4, prediction: 'cat' },
  { exit: 0, endToEndMs: 2, prediction: 'dog' },
  { exit: 1, endToEndMs: 20, prediction: 'cat' },
  { exit: null, endToEndMs: 50, prediction: 'cat' },
  { exit: null, endToEndMs: 30, prediction: 'cat' },
].map((cells, i) => okRow({ item: String(i), ...cells }));

test('samples are counted where they were answered, with their latency and accuracy', () => {
  const tally = new ExitTally([0, 1], metric('top1'));
  for (const row of ROWS) tally.add(row);
  assert.deepEqual(tally.result(), [
    { stage: 0, n: 2, share: 0.4, p50Ms: 3, accuracy: 0.5 },
    { stage: 1, n: 1, share: 0.2, p50Ms: 20, accuracy: 1 },
    { stage: null, n: 2, share: 0.4, p50Ms: 40, accuracy: 1 },
  ]);
});

test('an exit at which nobody left is there with nothing', () => {
  const tally = new ExitTally([0], metric('top1'));
  assert.deepEqual(
    tally.result().map(({ n, share, p50Ms, accuracy }) => [n, share, p50Ms, accuracy]),
    [
      [0, 0, null, null],
      [0, 0, null, null],
    ],
  );
});

async function summaryOf(rows: readonly SampleRow[], exits?: readonly number[]): Promise<Summary> {
  async function* stream(): AsyncGenerator<SampleRow> {
    yield* rows;
  }
  const strategies = [{ ...STRATEGY, ...(exits && { exits }) }];
  const options = { planned: rows.length, leastMs: () => 0, linksAfterwards: [] };
  const ofRows = await summarise(stream(), strategies, () => metric('top1'), options);
  const validity = { valid: true, reasons: [] };
  return { study: 'x', startedAt: '', finishedAt: '', unreadable: [], ...ofRows, validity };
}

test('the summary has a strategy by exit, without what failed, and its words say it', async () => {
  const failed = { ...okRow({ exit: 0 }), status: 'failed' };
  const summary = await summaryOf([...ROWS, failed], [0, 1]);
  const [strategy] = summary.strategies;
  assert.deepEqual(strategy?.exits, [0, 1]);
  assert.deepEqual(
    strategy?.byExit?.map(({ n }) => n),
    [2, 1, 2],
  );
  const words = summaryWords(summary).find((line) => line.includes('answered:'));
  assert.equal(
    words,
    'Warm, w on mobile-edge (exits) was answered: ' +
      '40.0 % at the exit of stage 0 (3.00 ms, 50.0 % top1); 20.0 % at the exit of stage 1 (20.0 ms, 100.0 % top1); ' +
      '40.0 % through all stages (40.0 ms, 100.0 % top1).',
  );
});

test('a strategy without exits says nothing of them', async () => {
  const summary = await summaryOf(ROWS);
  assert.ok(!('byExit' in (summary.strategies[0] ?? {})));
  assert.ok(summaryWords(summary).every((line) => !line.includes('answered:')));
});
