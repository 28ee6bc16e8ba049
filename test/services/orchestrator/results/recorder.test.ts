import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { appendFile, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { CSV_HEADER, csvLine } from '../../../../analysis/samples-csv.js';
import { Recorder } from '../../../../services/orchestrator/results/recorder.js';
import { okRow } from '../../../analysis/rows.js';

async function csvPath(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-recorder-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, 'samples.csv');
}

test('a row is in the file when record is done', async (t) => {
  const path = await csvPath(t);
  const recorder = await Recorder.open(path);
  assert.equal(await readFile(path, 'utf8'), CSV_HEADER);
  await recorder.record(okRow());
  assert.equal(await readFile(path, 'utf8'), CSV_HEADER + csvLine(okRow()));
  await recorder.close();
});

test('a torn last line is cut off, what is before it stays as it is', async (t) => {
  const path = await csvPath(t);
  const whole = CSV_HEADER + csvLine(okRow()) + csvLine(okRow({ sample: 2 }));
  const torn = csvLine(okRow({ sample: 3, error: 'x'.repeat(100_000) }));
  for (const length of [1, 20, torn.length - 1]) {
    await writeFile(path, whole + torn.slice(0, length));
    const recorder = await Recorder.open(path);
    await recorder.record(okRow({ sample: 4 }));
    await recorder.close();
    assert.equal(await readFile(path, 'utf8'), whole + csvLine(okRow({ sample: 4 })));
  }
});

test('a torn header is written again', async (t) => {
  const path = await csvPath(t);
  await appendFile(path, CSV_HEADER.slice(0, 30));
  await (await Recorder.open(path)).close();
  assert.equal(await readFile(path, 'utf8'), CSV_HEADER);
});

test('a full disk is a clear error', async (t) => {
  const path = await csvPath(t);
  await symlink('/dev/full', path);
  await assert.rejects(Recorder.open(path), { kind: 'exhausted', message: /no room left to write .*samples\.csv/ });
});

test('a disk that fills up leaves whole rows only', async (t) => {
  const path = await csvPath(t);
  const modules = ['../../../../services/orchestrator/results/recorder.js', '../../../analysis/rows.js'].map((m) =>
    JSON.stringify(new URL(m, import.meta.url).href),
  );
  const script = `
    const [{ Recorder }, { okRow }] = await Promise.all([import(${modules[0]}), import(${modules[1]})]);
    const recorder = await Recorder.open(${JSON.stringify(path)});
    let recorded = 0;
    try {
      for (;;) { await recorder.record(okRow({ sample: recorded + 1 })); recorded++; }
    } catch (error) { console.log(JSON.stringify({ recorded, kind: error.kind })); }`;
  // The kernel lets a file grow to this many KiB and then fails writes, the last one short, as a full disk does.
  const limited = `trap '' XFSZ; ulimit -f 8; exec "$0" --input-type=module -e "$1"`;
  const { stdout } = await promisify(execFile)('bash', ['-c', limited, process.execPath, script]);
  const { recorded, kind } = JSON.parse(stdout) as { recorded: number; kind: string };
  assert.equal(kind, 'exhausted');
  assert.ok(recorded > 5);
  const rows = Array.from({ length: recorded }, (_, i) => csvLine(okRow({ sample: i + 1 })));
  assert.equal(await readFile(path, 'utf8'), CSV_HEADER + rows.join(''));
});

test('a file that cannot be opened is refused', async (t) => {
  await assert.rejects(Recorder.open(join(await csvPath(t), 'below-a-file-that-is-none')), { kind: 'refused' });
});
