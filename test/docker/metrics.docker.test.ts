import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { packageRoot } from '../../base/paths.js';
import type { ComposeTestbed } from '../support/compose-testbed.js';
import { panelQueries } from '../support/dashboard.js';
import { DetachedStudy, writePlacements } from '../support/docker-study.js';
import { query, rulesOf, withoutData } from '../support/prometheus.js';
import { openTestbed } from '../support/shared-testbed.js';

const RULES = readFileSync(join(packageRoot, 'docker', 'prometheus', 'rules', 'recording.yml'), 'utf8');
/** Rates need some scrapes, and a busy machine some patience. */
const DATA_MS = 180_000;

let testbed: ComposeTestbed;
before(async () => {
  testbed = await openTestbed();
});

test('while a study runs, every panel of the dashboard and every recording rule has data', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-docker-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = await writePlacements(folder, { items: 100, rounds: 100 });
  const study = await DetachedStudy.start(testbed, path);
  t.after(() => testbed.tierbed(['study', 'stop', study.id]));
  await study.recordedMore(0, 5);
  await testbed.must('fault', 'start', 'slow-cpu', '--tier', 'cloud', '--with', 'factor=1.5');
  const url = `http://127.0.0.1:${testbed.options.prometheusPort}`;
  const recorded = rulesOf(RULES).map(({ name }) => ({ panel: 'recording rule', expr: name }));
  assert.deepEqual(await withoutData(url, [...panelQueries(), ...recorded], DATA_MS), []);
  const up = await query(url, 'up');
  assert.deepEqual(
    up.map(({ metric, value }) => `${metric.job} ${metric.tier ?? '-'} ${value}`).sort(),
    [
      ...['mobile', 'edge', 'cloud'].flatMap((tier) => [`link-agent ${tier} 1`, `node ${tier} 1`]),
      'orchestrator - 1',
      'prometheus - 1',
    ].sort(),
  );
  const firing = await query(url, 'ALERTS{alertstate="firing", severity="critical"}');
  assert.deepEqual(firing, [], 'nothing is critical');
});
