import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { ComposeTestbed } from '../support/compose-testbed.js';
import { DetachedStudy, missingOrDouble, writePlacements } from '../support/docker-study.js';
import { openTestbed } from '../support/shared-testbed.js';

const FAULTS: readonly (readonly [name: string, ...options: string[]])[] = [
  ['link-down', '--link', 'edge-cloud'],
  ['loss-burst', '--link', 'mobile-edge', '--with', 'lossPct=20', '--with', 'burstPackets=3'],
  ['node-pause', '--tier', 'edge'],
  ['node-kill', '--tier', 'cloud'],
  ['memory-squeeze', '--tier', 'edge', '--with', 'memoryMiB=400'],
  ['slow-cpu', '--tier', 'edge', '--with', 'factor=4'],
];

let testbed: ComposeTestbed;
before(async () => {
  testbed = await openTestbed();
});

/** What the testbed looks like from outside, as far as faults change it. */
async function appearance(): Promise<object> {
  const { links } = await testbed.json<{ links: object }>('link', 'show');
  const tiers: Record<string, object> = {};
  for (const tier of ['mobile', 'edge', 'cloud']) {
    const { CpuPeriod, CpuQuota, Memory } = (await testbed.inspect(tier)).HostConfig;
    tiers[tier] = { CpuPeriod, CpuQuota, Memory };
  }
  return { links, tiers };
}

test('faults while a study runs: each is undone, its samples say so, none is lost', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-docker-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = await writePlacements(folder, {
    placements: ['edge', 'mobile-edge', 'mobile-edge-cloud'],
    sessions: ['warm'],
    items: 40,
    rounds: 6,
    deadlineMs: 10_000,
  });
  const study = await DetachedStudy.start(testbed, path);
  let recorded = await study.recordedMore(0, 10);
  const atBegin = await appearance();
  for (const [name, ...options] of FAULTS) {
    await testbed.must('fault', 'start', name, ...options, '--for', '3s');
    const { active } = await testbed.json<{ active: readonly { fault: string }[] }>('fault', 'list');
    assert.ok(active.length <= 1, JSON.stringify(active));
    await testbed.eventually(`the end of ${name}`, async () => {
      const { active: left } = await testbed.json<{ active: readonly object[] }>('fault', 'list');
      return left.length === 0;
    });
    recorded = await study.recordedMore(recorded, 15);
    assert.deepEqual(await appearance(), atBegin, `${name} is undone`);
    t.diagnostic(`${name}: ${recorded} samples are recorded after it`);
  }
  await study.done();
  const { rows, summary } = await study.results(join(folder, 'results'));
  assert.deepEqual(missingOrDouble(rows, 720), []);
  assert.deepEqual(summary.validity, { valid: true, reasons: [] });
  for (const [name] of FAULTS) {
    const counted = summary.faults?.filter((fault) => fault.name.startsWith(name)) ?? [];
    assert.equal(counted.length, 1, `${name} is in the summary`);
    const marked = rows.filter(({ fault }) => String(fault).includes(name));
    assert.equal(marked.length, counted[0]?.samples, `${name}: samples marked and counted`);
    assert.ok(marked.length > 0, `${name} had samples`);
    t.diagnostic(`${name}: ${JSON.stringify(counted[0])}`);
  }
  const unmarked = rows.filter(({ status, fault }) => status !== 'ok' && String(fault ?? '') === '');
  assert.deepEqual(
    unmarked.map(({ sample, error }) => [sample, error]),
    [],
    'what failed, failed under a fault',
  );
});
