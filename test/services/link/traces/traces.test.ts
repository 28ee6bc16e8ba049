import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { TierbedError } from '../../../../base/errors.js';
import { parseCsvTrace } from '../../../../services/link/traces/csv.js';
import { readTrace, traceFormatOf } from '../../../../services/link/traces/index.js';
import { parseMahimahiTrace } from '../../../../services/link/traces/mahimahi.js';

function refused(work: () => unknown, words: RegExp): void {
  assert.throws(work, (error) => {
    assert.ok(error instanceof TierbedError, String(error));
    assert.equal(error.kind, 'invalid');
    assert.match(error.message, words);
    assert.ok(error.fix, error.message);
    return true;
  });
}

test('CSV: a row holds until the next, an empty cell says nothing, the last lasts as the one before it', () => {
  const text = '# measured\ntime_s,rateMbps,delayMs,jitterMs,lossPct\n0,12.5,20,,\n\n1.5,3,,2,0.5\n2.5,,80,,\n';
  assert.deepEqual(parseCsvTrace(text, 'a.csv'), {
    kind: 'steps',
    steps: [
      { atMs: 0, rateMbps: 12.5, delayMs: 20 },
      { atMs: 1500, rateMbps: 3, jitterMs: 2, lossPct: 0.5 },
      { atMs: 2500, delayMs: 80 },
    ],
    lengthMs: 3500,
  });
});

test('CSV: milliseconds, another order of columns, Windows line ends, and a last row that is the end', () => {
  const text = '\ufeffdelayMs, timeMs\r\n5, 0\r\n90, 600\r\n, 1200\r\n';
  assert.deepEqual(parseCsvTrace(text, 'a.csv'), {
    kind: 'steps',
    steps: [
      { atMs: 0, delayMs: 5 },
      { atMs: 600, delayMs: 90 },
    ],
    lengthMs: 1200,
  });
  assert.deepEqual(parseCsvTrace('timeMs,delayMs\n0,5\n10,\n', 'a.csv'), {
    kind: 'steps',
    steps: [{ atMs: 0, delayMs: 5 }],
    lengthMs: 10,
  });
});

test('CSV: what is wrong is named with file and line', () => {
  const cases: [string, RegExp][] = [
    ['', /^a\.csv:1: /],
    ['time_s,rateMbps\n', /^a\.csv:1: .*no row/],
    ['time_s,speed\n0,1\n1,2\n', /^a\.csv:1: "speed" is not a column/],
    ['time_s,timeMs,rateMbps\n0,0,1\n', /^a\.csv:1: there must be one column of time/],
    ['rateMbps,delayMs\n1,1\n', /^a\.csv:1: there must be one column of time/],
    ['time_s\n0\n1\n', /^a\.csv:1: there is nothing but time/],
    ['time_s,rateMbps,rateMbps\n0,1,1\n1,1,1\n', /^a\.csv:1: a column is there twice/],
    ['time_s,rateMbps\n0,1\n1,fast\n', /^a\.csv:3: rateMbps is "fast"/],
    ['time_s,rateMbps\n0,1\n# x\n\n1,-2\n', /^a\.csv:5: rateMbps is "-2"/],
    ['time_s,rateMbps\n0,1\n1,0\n2,1\n', /^a\.csv:3: rateMbps is 0/],
    ['time_s,lossPct\n0,1\n1,101\n', /^a\.csv:3: lossPct is 101/],
    ['time_s,rateMbps\n1,1\n2,2\n', /^a\.csv:2: the first row is at 1/],
    ['time_s,rateMbps\n0,1\n2,1\n2,3\n', /^a\.csv:4: time_s 2 does not come after/],
    ['time_s,rateMbps\n0,1\n,3\n', /^a\.csv:3: there is no time/],
    ['time_s,rateMbps\n0,1\n', /^a\.csv:2: one row does not say how long/],
    ['time_s,rateMbps\n0,1,7\n1,2\n', /^a\.csv:2: /],
    ['0\n12\n', /^a\.csv:1: "0" is not a column/],
  ];
  for (const [text, words] of cases) refused(() => parseCsvTrace(text, 'a.csv'), words);
});

test('mahimahi: times of packets, repeats allowed, as long as its last time', () => {
  assert.deepEqual(parseMahimahiTrace('# ours\n0\n3\n3\n\n17\r\n', 'up'), {
    kind: 'deliveries',
    atMs: [0, 3, 3, 17],
    lengthMs: 17,
  });
});

test('mahimahi: what is wrong is named with file and line', () => {
  const cases: [string, RegExp][] = [
    ['', /^up:1: there is no delivery after 0 ms/],
    ['0\n0\n', /^up:1: there is no delivery after 0 ms/],
    ['1\n2.5\n', /^up:2: "2.5" is not a whole number/],
    ['1\n-2\n', /^up:2: "-2" is not a whole number/],
    ['5\n\n4\n', /^up:3: 4 ms comes after 5 ms/],
    ['time_s,rateMbps\n', /^up:1: "time_s,rateMbps" is not/],
  ];
  for (const [text, words] of cases) refused(() => parseMahimahiTrace(text, 'up'), words);
  refused(() => parseMahimahiTrace('1\n'.repeat(500_001), 'up'), /^up:500001: more than 500000/);
});

test('the format is what the name says, and a file that cannot be read is missing', (t) => {
  assert.equal(traceFormatOf('traces/A.CSV'), 'csv');
  assert.equal(traceFormatOf('traces/a.up'), 'mahimahi');
  const folder = mkdtempSync(join(tmpdir(), 'trace-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'a.up');
  writeFileSync(path, '1\n2\n');
  assert.equal(readTrace(path, 'mahimahi').trace.lengthMs, 2);
  refused(() => readTrace(path, 'csv', 'shown.up'), /^shown\.up:1: /);
  assert.throws(
    () => readTrace(join(folder, 'none'), 'csv', 'none'),
    (error) => error instanceof TierbedError && error.kind === 'missing' && /none/.test(error.message),
  );
  writeFileSync(path, Buffer.alloc(17 * 1024 * 1024, '1\n'));
  refused(() => readTrace(path, 'mahimahi'), /17825792 bytes/);
});
