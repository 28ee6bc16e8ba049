import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse, stringify } from 'yaml';
import type { SampleRow } from '../../../../analysis/columns.js';
import { readSamples } from '../../../../analysis/samples-csv.js';
import type { Summary } from '../../../../analysis/summary.js';
import { silent } from '../../../../base/progress.js';
import { Random } from '../../../../base/random.js';
import { loadStudy } from '../../../../services/orchestrator/index.js';
import type { PlanFile } from '../../../../services/orchestrator/plan/plan-file.js';
import { runStudy } from '../../../../services/orchestrator/run/run.js';
import { local } from '../../../../services/orchestrator/runtimes/local.js';
import { sumOfPartsNs } from '../../../analysis/rows.js';
import { writeTinyStudy } from '../tiny-study.js';

const work = await mkdtemp(join(tmpdir(), 'tierbed-exits-'));
after(() => rm(work, { recursive: true, force: true }));
process.env.TIERBED_CACHE = join(work, 'cache');

const ITEMS = 12;
const signal = new AbortController().signal;

/** A study whose labels are drawn: no exit is always right, so that some samples leave and some go on. */
async function writtenStudy(): Promise<string> {
  const folder = join(work, 'study');
  const pictures = ITEMS + 48;
  const path = await writeTinyStudy(folder, {}, pictures);
  const { workloads, ...rest } = parse(await readFile(path, 'utf8')) as { workloads: { tiny: object } };
  const random = new Random(1);
  const labels = Array.from({ length: pictures }, (_, i) => `${i}.png,${['red', 'green', 'blue'][random.integer(3)]}`);
  await writeFile(join(folder, 'labels.csv'), `${['file,label', ...labels].join('\n')}\n`);
  const changes = {
    workloads: {
      tiny: { ...workloads.tiny, split: { calibration: 24, tuning: 24 } },
    },
    recipes: {
      whole: [],
      exit: [{ 'early-exit': { at: 'relu1', maxDrop: 0 } }],
      exits: [{ 'early-exit': { at: ['relu1', 'relu2'], maxDrop: 0 } }],
    },
    placements: ['mobile', 'edge', 'mobile-edge', 'mobile-edge-cloud'],
    sessions: ['warm'],
  };
  await writeFile(path, stringify({ ...rest, ...changes }));
  return path;
}

test('a study says where its samples were answered, on every placement that fits, and can be resumed', async () => {
  const file = await loadStudy(await writtenStudy());
  const out = join(work, 'results');
  const { summary } = await runStudy(file, { out, runtime: local, progress: silent, signal });
  assert.deepEqual(summary.validity, { valid: true, reasons: [] });
  const rows: SampleRow[] = [];
  for await (const row of readSamples(join(out, 'samples.csv'))) rows.push(row);
  assert.deepEqual(
    summary.strategies.map(({ recipe, placement }) => `${recipe} ${placement}`).sort(),
    [
      ...['whole mobile', 'whole edge', 'exit mobile', 'exit edge', 'exit mobile-edge'],
      ...['exits mobile', 'exits edge', 'exits mobile-edge-cloud'],
    ].sort(),
  );
  for (const row of rows) {
    assert.equal(row.status, 'ok', String(row.error));
    assert.equal(sumOfPartsNs(row), Math.round((row.endToEndMs as number) * 1e6));
    if (row.recipe === 'whole') assert.equal(row.exit, null);
  }
  // Where an item leaves, and with what answer, has nothing to do with where the stages run.
  for (const recipe of ['exit', 'exits']) {
    const mine = rows.filter((row) => row.recipe === recipe);
    for (const item of new Set(mine.map((row) => row.item))) {
      const ways = mine.filter((row) => row.item === item).map(({ exit, outputSha256 }) => `${exit} ${outputSha256}`);
      assert.equal(new Set(ways).size, 1, `${item}: ${ways}`);
    }
    const places = new Set(mine.map((row) => row.exit));
    assert.ok(places.has(0) && places.size > 1, `${recipe} has answers at ${[...places]}`);
  }
  // What left on mobile crossed no link, and ran no stage behind.
  for (const row of rows.filter(({ placement, exit }) => String(placement).startsWith('mobile-') && exit === 0)) {
    assert.deepEqual([row.hop1UpBytes, row.stage1ComputeMs], [0, null]);
  }
  const strategy = (s: Summary, id: string) =>
    s.strategies.find(({ recipe, placement }) => `${recipe} ${placement}` === id);
  const { byExit, exits } = strategy(summary, 'exits mobile-edge-cloud') ?? {};
  assert.deepEqual(exits, [0, 1]);
  assert.deepEqual(
    byExit?.map(({ stage }) => stage),
    [0, 1, null],
  );
  assert.equal(
    byExit?.reduce((sum, { n }) => sum + n, 0),
    ITEMS,
  );
  const plan = JSON.parse(await readFile(join(out, 'plan.json'), 'utf8')) as PlanFile;
  assert.deepEqual(plan.strategies.find(({ recipe }) => recipe === 'exit')?.exits, [0]);
  assert.ok(!('exits' in (plan.strategies.find(({ recipe }) => recipe === 'whole') ?? {})));

  const again = await runStudy(await loadStudy(join(work, 'study', 'tiny.yaml')), {
    ...{ resume: out, runtime: local, progress: silent, signal },
  });
  assert.deepEqual(strategy(again.summary, 'exit mobile-edge'), strategy(summary, 'exit mobile-edge'));
});
