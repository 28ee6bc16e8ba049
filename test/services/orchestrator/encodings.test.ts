import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { SampleRow } from '../../../analysis/columns.js';
import { readSamples } from '../../../analysis/samples-csv.js';
import { silent } from '../../../base/progress.js';
import { loadStudy } from '../../../services/orchestrator/index.js';
import { runStudy } from '../../../services/orchestrator/run.js';
import { local } from '../../../services/orchestrator/runtimes/local.js';
import { sumOfPartsNs } from '../../analysis/rows.js';
import { writeTinyStudy } from './tiny-study.js';

const work = await mkdtemp(join(tmpdir(), 'tierbed-encodings-'));
after(() => rm(work, { recursive: true, force: true }));
process.env.TIERBED_CACHE = join(work, 'cache');

const RECIPES = {
  whole: [],
  narrow: ['partition'],
  coded: [{ partition: { at: ['relu1'], encoding: ['int8', 'deflate'] } }],
  plain: [{ partition: { at: ['relu1'], encoding: 'fp32' } }],
  thirds: [{ partition: { at: ['relu1', 'relu2'] } }],
};

test('a study encodes on its links, recipes choose for themselves, and its rows still add up', async () => {
  const path = await writeTinyStudy(join(work, 'study'), {
    recipes: RECIPES,
    placements: ['edge', 'mobile-edge', 'mobile-cloud', 'edge-cloud', 'mobile-edge-cloud'],
    encodings: { 'mobile-edge': 'fp16', 'edge-cloud': 'int8' },
    sessions: ['warm'],
  });
  const out = join(work, 'results');
  const { summary } = await runStudy(await loadStudy(path), {
    ...{ out, runtime: local, progress: silent, signal: new AbortController().signal },
  });
  assert.deepEqual(summary.validity, { valid: true, reasons: [] });
  const rows: SampleRow[] = [];
  for await (const row of readSamples(join(out, 'samples.csv'))) rows.push(row);
  assert.equal(rows.length, summary.samples.planned);
  for (const row of rows) {
    assert.equal(row.status, 'ok', String(row.error));
    assert.equal(sumOfPartsNs(row), Math.round((row.endToEndMs as number) * 1e6));
    const encoded = row.recipe !== 'whole' && row.recipe !== 'plain';
    assert.equal((row.encodeMs as number) > 0, encoded, `${row.strategy} encodes`);
    assert.equal((row.decodeMs as number) > 0, encoded, `${row.strategy} decodes`);
  }
  const bytes = (recipe: string, placement: string, hop = 'hop1Up'): number => {
    const found = summary.strategies.find((s) => s.recipe === recipe && s.placement === placement);
    return found?.bytes?.[hop as 'hop1Up'] as number;
  };
  // 4 x 8 x 8 float32 numbers cross at relu1, 8 x 4 x 4 at relu2.
  const message = bytes('plain', 'mobile-edge') - 1024;
  assert.ok(message > 0 && message < 300, `${message} bytes around the tensor`);
  const between = (value: number, elements: number): void => {
    const rest = value - message - elements;
    assert.ok(rest > -20 && rest < 60, `${value} bytes for ${elements} of elements`);
  };
  between(bytes('thirds', 'mobile-edge-cloud'), 512);
  between(bytes('thirds', 'mobile-edge-cloud', 'hop2Up'), 128);
  // Bare `partition` cuts at relu1 too. Over both links at once the first decides; a recipe goes before either.
  assert.ok(bytes('coded', 'mobile-cloud') < message + 256 + 60);
  const narrow = bytes('narrow', 'edge-cloud', 'hop2Up');
  between(narrow, 256);
  between(bytes('narrow', 'mobile-cloud'), 512);
});
