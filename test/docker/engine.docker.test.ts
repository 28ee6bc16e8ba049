import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DetachedStudy, missingOrDouble, writePlacements } from '../support/docker-study.js';
import { openTestbed } from '../support/shared-testbed.js';

/** A shell command that restarts the Docker engine, and all containers that run on it: only who owns it may say so. */
const RESTART = process.env.TIERBED_RESTART_ENGINE;

test('an engine that restarts in the middle of a study: all is back, the study goes on, every sample has one row', {
  skip: RESTART === undefined ? 'set TIERBED_RESTART_ENGINE to a command that restarts the Docker engine' : false,
}, async (t) => {
  const testbed = await openTestbed();
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-docker-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = await writePlacements(folder, {
    ...{ placements: ['mobile', 'mobile-cloud', 'mobile-edge-cloud'], sessions: ['warm'] },
    ...{ items: 30, rounds: 4, deadlineMs: 20_000 },
  });
  const study = await DetachedStudy.start(testbed, path);
  const before = await study.recordedMore(0, 30);
  const startMs = performance.now();
  await testbed.exec('bash', ['-c', RESTART as string]);
  const recorded = await testbed.eventually('the orchestrator', async () => (await study.now()).samples?.recorded);
  assert.ok(recorded >= before, `${recorded} of the ${before} samples that were recorded are there`);
  await study.recordedMore(recorded, 20);
  t.diagnostic(
    `20 samples more ${((performance.now() - startMs) / 1000).toFixed(1)} s after the engine was told to end`,
  );
  const { samples } = await study.done();
  const { rows, summary } = await study.results(join(folder, 'results'));
  assert.deepEqual(missingOrDouble(rows, samples?.planned ?? 0), []);
  assert.ok(rows.filter(({ status }) => status !== 'ok').length <= 3);
  assert.deepEqual(summary.validity, { valid: true, reasons: [] });
});
