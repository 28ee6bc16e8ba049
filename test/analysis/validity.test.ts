import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SampleRow } from '../../analysis/columns.js';
import { addsUp, impossibleParts } from '../../analysis/physics.js';
import { summaryTable, summaryWords } from '../../analysis/report-table.js';
import { type Summary, summarise } from '../../analysis/summary.js';
import type { LinksAfterwards } from '../../analysis/validity.js';
import { metric } from '../../workloads/metrics/index.js';
import { okRow } from './rows.js';

const STRATEGY = { id: 's', workload: 'w', recipe: 'r', placement: 'edge', session: 'warm' };
const WELL: LinksAfterwards = { ok: true, wrong: 0, figures: 30, worst: '' };

async function* stream(rows: readonly SampleRow[]): AsyncGenerator<SampleRow> {
  yield* rows;
}

async function summaryOf(
  rows: readonly SampleRow[],
  { planned = rows.length, leastUpMs = 0, links = [WELL] as readonly LinksAfterwards[], faults = [] as never[] } = {},
): Promise<Summary> {
  const leastMs = ({ hop }: { hop: string }): number => (hop === 'hop1Up' ? leastUpMs : 0);
  const options = { planned, leastMs, linksAfterwards: links };
  const ofRows = await summarise(stream(rows), [STRATEGY], () => metric('top1'), options, faults);
  return { study: 'x', startedAt: '', finishedAt: '', unreadable: [], ...ofRows };
}

/** A row whose request takes `upMs` on its way, and whose parts add up. */
const upIn = (upMs: number, cells: SampleRow = {}): SampleRow =>
  okRow({ hop1UpMs: upMs, endToEndMs: 5 + upMs, ...cells });

test('a sample faster than its bytes can travel makes the study invalid, and names it', async () => {
  const rows = [upIn(5), upIn(4.9, { sample: 2 }), upIn(4.94, { sample: 3 })];
  const { validity } = await summaryOf(rows, { leastUpMs: 5 });
  assert.equal(validity.valid, false);
  assert.deepEqual(
    validity.reasons.map(({ code }) => code),
    ['physics'],
  );
  assert.match(
    validity.reasons[0]?.message ?? '',
    /sample 2 .*hop1Up took 4\.9 ms where 5 ms is the least \(2 samples/,
  );
  const within = await summaryOf([upIn(4.96)], { leastUpMs: 5 });
  assert.deepEqual(within.validity, { valid: true, reasons: [] });
});

test('under a fault it is counted there, and the study stays valid', async () => {
  const faults = [{ name: 'clock-step edge', atS: 1, fromUnixMs: 900, toUnixMs: 2_000 }] as never[];
  const rows = [upIn(5), upIn(1, { sample: 2, fault: 'clock-step edge' })];
  const summary = await summaryOf(rows, { leastUpMs: 5, faults });
  assert.equal(summary.validity.valid, true);
  assert.equal(summary.faults[0]?.impossible, 1);
  assert.equal(summary.strategies[0]?.n, 1);
});

test('a part below zero cannot be either', () => {
  const row = okRow({ queueMs: -0.2 });
  assert.deepEqual(
    impossibleParts(row, () => 0).map(({ part }) => part),
    ['queue'],
  );
  assert.deepEqual(
    impossibleParts(okRow({ otherMs: -0.04 }), () => 0),
    [],
  );
  assert.deepEqual(
    impossibleParts({ ...okRow({ queueMs: -9 }), status: 'failed' }, () => 0),
    [],
  );
});

test('hops that were not crossed are not held against the links', () => {
  const row = okRow({ hop1UpBytes: 0, hop1UpMs: 0, hop1DownBytes: 0, hop1DownMs: 0 });
  assert.deepEqual(
    impossibleParts(row, () => 100),
    [],
  );
});

test('parts that do not add up, rows that are missing and links out of tolerance make a study invalid', async () => {
  assert.equal(addsUp(okRow()), true);
  assert.equal(addsUp(okRow({ computeMs: 3.000001 })), false);
  const wrongSum = await summaryOf([okRow(), okRow({ sample: 2, computeMs: 4 })]);
  assert.match(wrongSum.validity.reasons[0]?.message ?? '', /parts of 1 samples do not add up.* sample 2/);
  const missing = await summaryOf([okRow(), okRow({ sample: 3 })], { planned: 3 });
  assert.equal(missing.validity.reasons[0]?.message, '2 rows for 3 planned samples');
  const twice = await summaryOf([okRow(), okRow()], { planned: 2 });
  assert.equal(twice.validity.reasons[0]?.code, 'rows');
  const links = { ok: false, wrong: 2, figures: 30, worst: 'mobile-edge up rateMbps was 750, set 100' };
  const unshaped = await summaryOf([okRow()], { links: [WELL, links] });
  assert.match(unshaped.validity.reasons[0]?.message ?? '', /2 of 30 figures .*was 750, set 100/);
  assert.ok([wrongSum, missing, twice, unshaped].every(({ validity }) => !validity.valid));
});

test('an invalid study says so loudly, and names nothing the fastest', async () => {
  const valid = await summaryOf([okRow()]);
  assert.match(summaryWords(valid).join('\n'), /is fastest on/);
  assert.match(summaryTable(valid), /edge \*/);
  const invalid = await summaryOf([okRow({ computeMs: 4 })]);
  const words = summaryWords(invalid).join('\n');
  assert.match(words, /^INVALID: .*\n {2}INVALID \(parts\): /);
  assert.doesNotMatch(words, /is fastest/);
  assert.doesNotMatch(summaryTable(invalid), /\*/);
  assert.match(summaryTable(invalid), /INVALID/);
});

test('samples under a fault count for it and for nothing else', async () => {
  const row = (sample: number, cells: SampleRow): SampleRow =>
    okRow({ sample, startedAtUnixMs: sample * 100, ...cells });
  const rows = [
    row(1, {}),
    row(2, { fault: 'a', way: 'retry', attempts: 2, correct: false }),
    row(3, { fault: 'a + b', status: 'failed', endToEndMs: null, error: 'no answer' }),
    row(4, { fault: 'b', way: 'fallback' }),
    row(5, {}),
    row(6, { fault: 'a' }),
  ];
  const faults = [
    { name: 'a', atS: 0.2, fromUnixMs: 190, toUnixMs: 320 },
    { name: 'b', atS: 0.3, fromUnixMs: 290, toUnixMs: 420 },
    { name: 'a', atS: 0.6, fromUnixMs: 590 },
  ] as never[];
  const summary = await summaryOf(rows, { faults });
  assert.deepEqual(summary.samples, { planned: 6, recorded: 6, failed: 1, underFault: 4 });
  assert.equal(summary.strategies[0]?.n, 2);
  assert.equal(summary.strategies[0]?.failed, 0);
  const counts = { retried: 0, fellBack: 0, wrong: 0, impossible: 0 };
  assert.deepEqual(summary.faults, [
    { name: 'a', atS: 0.2, lastedS: 0.13, samples: 2, ok: 1, failed: 1, ...counts, retried: 1, wrong: 1, p50Ms: 10 },
    { name: 'b', atS: 0.3, lastedS: 0.13, samples: 2, ok: 1, failed: 1, ...counts, fellBack: 1, p50Ms: 10 },
    { name: 'a', atS: 0.6, lastedS: null, samples: 1, ok: 1, failed: 0, ...counts, p50Ms: 10 },
  ]);
  const words = summaryWords(summary).join('\n');
  assert.match(words, /At 0\.2 s a for 0\.1 s: 2 samples: 1 failed, 1 retried, 1 wrong, 10\.0 ms in the median/);
  assert.match(words, /4 of 6 samples ran while a fault was in force/);
});
