import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { COLUMNS, type SampleRow } from '../../analysis/columns.js';
import { CSV_HEADER, csvLine, readSamples } from '../../analysis/samples-csv.js';
import { writeSamplesParquet } from '../../analysis/samples-parquet.js';
import { okRow } from './rows.js';

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'tierbed-samples-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function collect(rows: AsyncIterable<SampleRow>): Promise<SampleRow[]> {
  const all: SampleRow[] = [];
  for await (const row of rows) all.push(row);
  return all;
}

test('rows survive the CSV, whatever their texts hold, one line each', async (t) => {
  const path = join(await folder(t), 'samples.csv');
  const rows = [
    okRow({ item: 'a,b', error: '', prediction: 'say "hi"' }),
    okRow({
      sample: 2,
      status: 'failed',
      error: 'first line\nsecond, "line"\r\nthird',
      endToEndMs: null,
      correct: null,
    }),
    okRow({ sample: 3, label: 'naïve ✓', endToEndMs: 12.345678, correct: false }),
  ];
  const text = CSV_HEADER + rows.map(csvLine).join('');
  await writeFile(path, text);
  assert.equal(text.split('\n').length, rows.length + 2);
  const read = await collect(readSamples(path));
  const asOneLine = { ...rows[1], error: 'first line second, "line" third' };
  assert.deepEqual(read, [rows[0], asOneLine, rows[2]]);
});

test('a file with other columns, or a cell of another type, is refused with its line', async (t) => {
  const path = join(await folder(t), 'samples.csv');
  await writeFile(path, 'sample,round\n1,1\n');
  await assert.rejects(collect(readSamples(path)), { kind: 'invalid', message: /columns are not those/ });
  await writeFile(path, CSV_HEADER + csvLine(okRow()) + csvLine(okRow()).replace(/^1,/, 'one,'));
  await assert.rejects(collect(readSamples(path)), { kind: 'invalid', message: /samples\.csv:3: sample is 'one'/ });
});

test('the Parquet file has one typed column for each of the CSV, and nothing unfinished beside it', async (t) => {
  const dir = await folder(t);
  const path = join(dir, 'samples.parquet');
  const failed = okRow({ sample: 25_000, status: 'failed', endToEndMs: null, computeMs: null, correct: null });
  async function* rows() {
    for (let sample = 1; sample < 25_000; sample++) yield okRow({ sample, endToEndMs: sample / 7 });
    yield failed;
  }
  await writeSamplesParquet(path, rows(), { study: 'x' });
  assert.deepEqual(await readdir(dir), ['samples.parquet']);
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file);
  assert.equal(metadata.row_groups.length, 3);
  const types = new Map(metadata.schema.slice(1).map(({ name, type }) => [name, type]));
  assert.deepEqual(
    [...types.keys()],
    COLUMNS.map(({ name }) => name),
  );
  assert.equal(types.get('endToEndMs'), 'DOUBLE');
  assert.equal(types.get('hop1UpBytes'), 'INT32');
  assert.equal(types.get('prediction'), 'BYTE_ARRAY');
  const read = await parquetReadObjects({ file, rowStart: 24_998 });
  assert.equal(read[0]?.endToEndMs, 24_999 / 7);
  assert.equal(read[0]?.correct, true);
  assert.equal(read[1]?.endToEndMs, null);
  assert.equal(read[1]?.status, 'failed');
});
