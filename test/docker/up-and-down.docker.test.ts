import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DetachedStudy, missingOrDouble, writePlacements } from '../support/docker-study.js';
import { leftOf, rulesOfHost } from '../support/left-behind.js';
import { sharedTestbed } from '../support/shared-testbed.js';

const testbed = sharedTestbed();
/** What is stated is 30 s on a machine that does nothing else; this is for one that hangs. */
const HANG_S = 120;

test('up, up again, down in the middle of a study, up and resume, down -v: nothing lost, nothing left', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-docker-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  t.after(() => testbed.down());
  await testbed.down();
  assert.deepEqual(await leftOf(testbed), []);
  const before = await rulesOfHost(testbed);

  const seconds = await testbed.up();
  t.diagnostic(`up --wait: ${seconds.toFixed(1)} s (30 s are stated)`);
  assert.ok(seconds < HANG_S);
  const containers = (await testbed.compose('ps', '--quiet')).split('\n').sort();
  assert.match(await testbed.must('up', '--quiet'), /The testbed is up already\./);
  assert.deepEqual((await testbed.compose('ps', '--quiet')).split('\n').sort(), containers, 'the same containers');

  const path = await writePlacements(folder, {
    placements: ['mobile', 'mobile-edge', 'mobile-edge-cloud'],
    sessions: ['warm'],
    items: 20,
    rounds: 10,
  });
  const study = await DetachedStudy.start(testbed, path);
  const recorded = await study.recordedMore(0, 20);
  const kept = await testbed.tierbed(['down', '-v', '--quiet']);
  assert.equal(kept.code, 5, kept.stderr);
  assert.match(kept.stderr, /is running, and -v removes its results/);
  assert.match(
    await testbed.must('down', '--quiet'),
    new RegExp(`The study ${study.id} was stopped after \\d+ of 600`),
  );
  assert.equal(await testbed.compose('ps', '--all', '--quiet'), '');

  await testbed.must('up', '--quiet');
  const now = await study.now();
  assert.equal(now.state, 'stopped');
  assert.ok((now.samples?.recorded ?? 0) >= recorded, JSON.stringify(now.samples));
  await testbed.must('study', 'resume', study.id);
  await study.done();
  const { rows, summary, runs } = await study.results(join(folder, 'results'));
  assert.deepEqual(missingOrDouble(rows, 600), []);
  assert.deepEqual(
    rows.filter(({ status }) => status !== 'ok').map(({ sample, error }) => [sample, error]),
    [],
  );
  assert.equal(summary.validity.valid, true, JSON.stringify(summary.validity));
  assert.equal(runs.length, 2);

  await testbed.must('down', '-v', '--quiet');
  assert.deepEqual(await leftOf(testbed), []);
  assert.deepEqual(await rulesOfHost(testbed), before);
});

test('Ctrl-C while the testbed comes up: nothing is left', async (t) => {
  t.after(() => testbed.down());
  const stop = new AbortController();
  const starting = testbed.tierbed(['up', '--quiet'], { signal: stop.signal });
  await testbed.eventually('the first container', async () => (await testbed.compose('ps', '--quiet')) !== '');
  await sleep(500);
  stop.abort();
  const { code, stderr } = await starting;
  assert.equal(code, 130, stderr);
  assert.match(stderr, /nothing is left running/);
  assert.deepEqual(
    (await leftOf(testbed)).filter((thing) => !thing.startsWith('volume ')),
    [],
  );
  await testbed.must('down', '-v', '--quiet');
  assert.deepEqual(await leftOf(testbed), []);
});
