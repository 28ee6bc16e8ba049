import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { ComposeTestbed } from '../support/compose-testbed.js';
import { missingOrDouble, readResults, writePlacements } from '../support/docker-study.js';
import { openTestbed } from '../support/shared-testbed.js';

/** As tiers/*.yaml say, with periods of 5 ms. */
const LIMITS: Readonly<Record<string, object>> = {
  mobile: { CpuPeriod: 5000, CpuQuota: 1250, Memory: 512 * 2 ** 20, MemorySwap: 512 * 2 ** 20 },
  edge: { CpuPeriod: 5000, CpuQuota: 2500, Memory: 1024 * 2 ** 20, MemorySwap: 1024 * 2 ** 20 },
  cloud: { CpuPeriod: 5000, CpuQuota: 5000, Memory: 2048 * 2 ** 20, MemorySwap: 2048 * 2 ** 20 },
};

let testbed: ComposeTestbed;
before(async () => {
  testbed = await openTestbed();
});

test('a network on all placements: every sample ok, every prediction the same wherever it was made', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-docker-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const study = await writePlacements(folder, { items: 6, rounds: 2 });
  const out = join(folder, 'results');
  const startMs = performance.now();
  const said = await testbed.must('run', study, '--runtime', 'docker', '--out', out, '--quiet');
  t.diagnostic(`${((performance.now() - startMs) / 1000).toFixed(0)} s`);
  assert.match(said, /warm +│ mobile-edge-cloud .* thirds/);

  const { rows, summary, runs, proofs } = await readResults(out);
  assert.deepEqual(missingOrDouble(rows, 14 * 6 * 2), []);
  assert.deepEqual(
    rows.filter(({ status }) => status !== 'ok').map(({ sample, error }) => [sample, error]),
    [],
  );
  assert.deepEqual(summary.validity, { valid: true, reasons: [] });
  assert.equal(summary.strategies.length, 14);
  for (const { id, n, failed, accuracy } of summary.strategies) {
    assert.deepEqual([n, failed], [12, 0], id);
    assert.equal(accuracy?.value, summary.strategies[0]?.accuracy?.value, id);
  }
  const predictions = new Map<string, Set<string>>();
  for (const { item, prediction } of rows) {
    predictions.set(String(item), (predictions.get(String(item)) ?? new Set()).add(String(prediction)));
  }
  assert.equal(predictions.size, 6);
  for (const [item, of] of predictions) assert.equal(of.size, 1, `${item}: ${[...of]}`);
  // What crossed a link cannot have been faster than the link: 5 ms, 15 ms or both, each way.
  const leastMs: Readonly<Record<string, number>> = {
    edge: 10,
    'mobile-edge': 10,
    cloud: 40,
    'mobile-cloud': 40,
    'edge-cloud': 40,
    'mobile-edge-cloud': 40,
  };
  for (const { strategy, placement, endToEndMs } of rows) {
    const least = leastMs[String(placement)] ?? 0;
    assert.ok(Number(endToEndMs) > least, `${strategy}: ${endToEndMs} ms`);
  }

  const [run] = runs;
  assert.equal(run?.runtime, 'docker');
  for (const tier of run?.tiers ?? []) {
    const { limitsSet, limitsReadBack, cgroup } = tier.atBegin as Record<string, Record<string, unknown>>;
    assert.deepEqual(limitsSet, LIMITS[tier.tier], tier.tier);
    assert.deepEqual(limitsReadBack, LIMITS[tier.tier], tier.tier);
    assert.ok(cgroup?.quota, `${tier.tier} sees its quota`);
    const { medianMs, speed } = tier.calibration ?? { medianMs: 0, speed: 0 };
    assert.ok(medianMs > 0 && speed > 0, `${tier.tier} is calibrated: ${JSON.stringify(tier)}`);
  }
  assert.deepEqual(run?.tiers.map(({ tier }) => tier).sort(), ['cloud', 'edge', 'mobile']);
  assert.deepEqual(
    proofs.map(({ when }) => when),
    ['before', 'after'],
  );
  for (const { when, ok, driver } of proofs) {
    assert.ok(ok, when);
    assert.match(driver.name, /^(netem|nfqueue)$/);
  }
});
