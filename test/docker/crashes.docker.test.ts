import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { ComposeTestbed } from '../support/compose-testbed.js';
import { DetachedStudy, missingOrDouble, writePlacements } from '../support/docker-study.js';
import { openTestbed } from '../support/shared-testbed.js';

const TIERS = ['mobile', 'edge', 'cloud'];
const AGENTS = ['mobile-link', 'edge-link', 'cloud-link'];

let testbed: ComposeTestbed;
before(async () => {
  testbed = await openTestbed();
});

test('each service killed in the middle of a study: it is finished, and every sample has one row', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-docker-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = await writePlacements(folder, {
    placements: ['mobile', 'mobile-cloud', 'mobile-edge-cloud'],
    sessions: ['warm'],
    items: 40,
    rounds: 8,
    deadlineMs: 20_000,
  });
  const study = await DetachedStudy.start(testbed, path);
  await study.recordedMore(0, 10);
  for (const service of [...TIERS, ...AGENTS, 'gate', 'prometheus', 'orchestrator']) {
    const startMs = performance.now();
    const before = await testbed.inspect(service);
    await testbed.crash(service);
    // One that is not on the way of a sample is given the time to be missed: it is looked for every 5 s.
    if (service === 'gate' || service === 'prometheus') await new Promise((resolve) => setTimeout(resolve, 8_000));
    await testbed.eventually(`${service} after it was killed`, async () => {
      const { State } = await testbed.inspect(service);
      return State.Running && State.StartedAt !== before.State.StartedAt;
    });
    const recorded = await testbed.eventually('the orchestrator', async () => (await study.now()).samples?.recorded);
    await study.recordedMore(recorded, 20);
    t.diagnostic(`${service}: back, and 20 samples more, after ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  }
  const { samples } = await study.done();
  assert.equal(samples?.planned, 960);
  const { rows, summary, runs } = await study.results(join(folder, 'results'));
  assert.deepEqual(missingOrDouble(rows, 960), []);
  const failed = rows.filter(({ status }) => status !== 'ok');
  t.diagnostic(`failed: ${failed.map(({ sample, error }) => `${sample} ${error}`).join('; ')}`);
  assert.ok(failed.length <= 20, `${failed.length} samples failed`);
  assert.deepEqual(summary.validity, { valid: true, reasons: [] });
  assert.ok(runs.length >= 2, 'the orchestrator took the study up again');
  const lost = new Set(runs.flatMap(({ interruptions = [] }) => interruptions).map(({ what }) => what));
  // The gate is back before it is asked again, so that nobody missed it.
  for (const service of [...TIERS, ...AGENTS, 'prometheus']) assert.ok(lost.has(service), `${service}: ${[...lost]}`);
});
