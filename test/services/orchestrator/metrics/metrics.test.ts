import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COLUMNS, PARTS, type SampleRow } from '../../../../analysis/columns.js';
import type { LinkSettings } from '../../../../services/link/types.js';
import type { LinkReport } from '../../../../services/link/verify/verify.js';
import type { ActiveFault, FaultBoard } from '../../../../services/orchestrator/faults/fault-board.js';
import { OrchestratorMetrics } from '../../../../services/orchestrator/metrics/metrics.js';
import { rowParts } from '../../../../services/orchestrator/metrics/row-parts.js';
import { MAX_STRATEGIES } from '../../../../services/orchestrator/metrics/study-metrics.js';
import { noTierControl } from '../../../../services/orchestrator/runtimes/no-tier-control.js';
import type { Testbed, TierControl } from '../../../../services/orchestrator/runtimes/runtime.js';
import { parseExposition } from '../../../support/exposition.js';
import { promtool, skipWithoutPrometheus } from '../../../support/prometheus.js';

const EMPTY: SampleRow = Object.fromEntries(COLUMNS.map(({ name, type }) => [name, type === 'text' ? '' : null]));

/** A sample of mobile-edge-cloud whose every part has a time of its own, in ms. */
function row(changes: SampleRow = {}): SampleRow {
  const parts: Record<string, number> = Object.fromEntries(PARTS.map((part) => [`${part}Ms`, 0]));
  Object.assign(parts, {
    preprocessMs: 1,
    queueMs: 6.5,
    computeMs: 60,
    serialiseMs: 2,
    hop1UpMs: 11,
    hop1DownMs: 12,
    hop2UpMs: 21,
    hop2DownMs: 22,
    otherMs: 0.5,
  });
  return {
    ...EMPTY,
    strategy: 'w.thirds.mobile-edge-cloud.warm',
    placement: 'mobile-edge-cloud',
    status: 'ok',
    endToEndMs: Object.values(parts).reduce((sum, ms) => sum + ms, 0),
    ...parts,
    stage0QueueMs: 1,
    stage1QueueMs: 2,
    stage2QueueMs: 3,
    stage0ComputeMs: 10,
    stage1ComputeMs: 20,
    stage2ComputeMs: 30,
    hop1UpBytes: 1000,
    hop1DownBytes: 10,
    hop2UpBytes: 500,
    hop2DownBytes: 20,
    ...changes,
  };
}

const failed = (): SampleRow => ({ ...EMPTY, strategy: 'w.thirds.mobile-edge-cloud.warm', status: 'failed' });

const testbed = (tiers: TierControl = noTierControl('test')): Testbed => ({ tiers }) as Testbed;
const text = (metrics: OrchestratorMetrics): Promise<string> => metrics.registry.metrics();
const samples = async (metrics: OrchestratorMetrics) => parseExposition(await text(metrics));
const INFO = { study: 'example', runtime: 'test' };

const NO_FAULTS = { active: () => [] } as unknown as FaultBoard;
const LINK_DOWN: Pick<ActiveFault, 'fault' | 'options'> = { fault: 'link-down', options: { link: 'mobile-edge' } };

test('the pieces of a row are by tier where the row says so, and add up to all of it', () => {
  const parts = rowParts(row());
  const total = parts.reduce((sum, { seconds }) => sum + seconds, 0);
  assert.ok(Math.abs(total - 0.136) < 1e-9, `${total}`);
  const of = (part: string, tier: string): number | undefined => {
    const found = parts.filter((p) => p.part === part && p.tier === tier);
    assert.ok(found.length <= 1);
    return found[0] && Math.round(found[0].seconds * 1e6) / 1e3;
  };
  assert.equal(of('compute', 'mobile'), 10);
  assert.equal(of('compute', 'edge'), 20);
  assert.equal(of('compute', 'cloud'), 30);
  assert.equal(of('compute', ''), undefined, 'nothing is left of what the stages took');
  assert.equal(of('queue', ''), 0.5);
  assert.equal(of('up', 'edge'), 11);
  assert.equal(of('down', 'cloud'), 22);
  assert.equal(of('preprocess', ''), 1);
  assert.equal(of('load', 'edge'), undefined, 'parts of no time are left out');
});

test('a hop leads to the tiers behind mobile, whether mobile has a stage or not', () => {
  const tiersOf = (placement: string) =>
    rowParts(row({ placement, strategy: placement }))
      .filter(({ part }) => part === 'up')
      .map(({ tier }) => tier);
  assert.deepEqual(tiersOf('edge-cloud'), ['edge', 'cloud']);
  assert.deepEqual(tiersOf('mobile-cloud')[0], 'cloud');
  assert.deepEqual(rowParts(failed()), []);
});

test('rows become histograms, counters and progress', async () => {
  const metrics = new OrchestratorMetrics();
  const observer = metrics.observer(INFO);
  observer.opened?.(testbed(), NO_FAULTS);
  observer.recorded?.(row(), 1, 10);
  observer.recorded?.(row(), 2, 10);
  observer.recorded?.(failed(), 3, 10);
  const got = await samples(metrics);
  const strategy = 'strategy="w.thirds.mobile-edge-cloud.warm"';
  assert.equal(got.get(`tierbed_sample_seconds_count{${strategy}}`), 2);
  assert.ok(Math.abs((got.get(`tierbed_sample_seconds_sum{${strategy}}`) ?? 0) - 0.272) < 1e-9);
  assert.equal(got.get(`tierbed_sample_seconds_bucket{le="0.128",${strategy}}`), 0);
  assert.equal(got.get(`tierbed_sample_seconds_bucket{le="0.256",${strategy}}`), 2);
  assert.equal(got.get(`tierbed_sample_part_seconds_count{${strategy},part="compute",tier="cloud"}`), 2);
  assert.equal(got.get(`tierbed_samples_total{${strategy},status="ok"}`), 2);
  assert.equal(got.get(`tierbed_samples_total{${strategy},status="failed"}`), 1);
  assert.equal(got.get(`tierbed_sample_hop_bytes_total{${strategy},way="up"}`), 3000);
  assert.equal(got.get(`tierbed_sample_hop_bytes_total{${strategy},way="down"}`), 60);
  assert.equal(got.get('tierbed_study_samples_recorded'), 3);
  assert.equal(got.get('tierbed_study_samples_planned'), 10);
  assert.equal(got.get('tierbed_study_running'), 1);
  assert.equal(got.get('tierbed_study_info{study="example",runtime="test"}'), 1);
  assert.ok((got.get('tierbed_study_last_progress_timestamp_seconds') ?? 0) > 1.6e9);
  observer.closed?.();
  assert.equal((await samples(metrics)).get('tierbed_study_running'), 0);
});

test('a strategy that has not failed has a count of failures', async () => {
  const metrics = new OrchestratorMetrics();
  const observer = metrics.observer(INFO);
  observer.opened?.(testbed(), NO_FAULTS);
  observer.recorded?.(row(), 1, 10);
  const strategy = 'strategy="w.thirds.mobile-edge-cloud.warm"';
  assert.equal((await samples(metrics)).get(`tierbed_samples_total{${strategy},status="failed"}`), 0);
});

test('strategies are bounded, and anew with the next study', async () => {
  const metrics = new OrchestratorMetrics();
  const first = metrics.observer(INFO);
  first.opened?.(testbed(), NO_FAULTS);
  for (let i = 0; i < MAX_STRATEGIES + 50; i++) first.recorded?.(row({ strategy: `s${i}` }), i, 1000);
  const counts = [...(await samples(metrics))].filter(([name]) => name.startsWith('tierbed_sample_seconds_count'));
  assert.equal(counts.length, MAX_STRATEGIES + 1);
  assert.equal(new Map(counts).get('tierbed_sample_seconds_count{strategy="other"}'), 50);
  const second = metrics.observer({ study: 'next', runtime: 'test' });
  second.opened?.(testbed(), NO_FAULTS);
  second.recorded?.(row({ strategy: 's249' }), 1, 1);
  const after = await samples(metrics);
  assert.equal(after.get('tierbed_sample_seconds_count{strategy="s249"}'), 1);
  assert.equal(after.get('tierbed_sample_seconds_count{strategy="s0"}'), undefined);
  assert.equal(after.get('tierbed_study_info{study="example",runtime="test"}'), undefined);
  assert.equal(after.get('tierbed_study_info{study="next",runtime="test"}'), 1);
});

const direction = { delayMs: 20, jitterMs: 3, queueBytes: 1e6 };
const LINKS: readonly LinkSettings[] = [
  { name: 'mobile-edge', up: { ...direction, rateMbps: 10, lossPct: 0.1 }, down: direction },
];

test('links: what is set and what was measured, in base units', async () => {
  const metrics = new OrchestratorMetrics();
  const figure = { link: 'mobile-edge', direction: 'up', tolerance: 1, attempts: 1 } as const;
  const report: LinkReport = {
    ok: false,
    maxAttempts: 3,
    tookMs: 1,
    figures: [
      { ...figure, figure: 'rateMbps', set: 10, measured: 9.9, ok: true },
      { ...figure, figure: 'delayMs', set: 20, measured: 24.5, ok: false },
      { ...figure, figure: 'jitterMs', set: 3, measured: 3.5, ok: true },
      { ...figure, figure: 'roundTripMs', direction: 'both', set: 40, measured: 45, ok: false },
      { ...figure, link: 'mobile-edge + edge-cloud', figure: 'messageMs', set: 1, measured: 1, ok: true },
    ],
  };
  metrics.observer(INFO).proved?.(report, LINKS);
  const got = await samples(metrics);
  const up = '{link="mobile-edge",direction="up"}';
  const down = '{link="mobile-edge",direction="down"}';
  assert.equal(got.get(`tierbed_link_set_rate_bytes_per_second${up}`), 1.25e6);
  assert.equal(got.get(`tierbed_link_set_rate_bytes_per_second${down}`), 0);
  assert.equal(got.get(`tierbed_link_set_delay_seconds${up}`), 0.02);
  assert.equal(got.get(`tierbed_link_set_jitter_seconds${down}`), 0.003);
  assert.equal(got.get(`tierbed_link_set_loss_ratio${up}`), 0.001);
  assert.equal(got.get(`tierbed_link_set_loss_ratio${down}`), 0);
  assert.equal(got.get('tierbed_link_set_down{link="mobile-edge"}'), 0);
  assert.equal(got.get(`tierbed_link_measured_rate_bytes_per_second${up}`), 9.9e6 / 8);
  assert.equal(got.get(`tierbed_link_measured_delay_seconds${up}`), 0.0245);
  assert.equal(got.get(`tierbed_link_measured_jitter_seconds${up}`), 0.0035);
  assert.equal(got.get('tierbed_link_figures_out_of_tolerance{link="mobile-edge"}'), 2);
  assert.equal(got.get('tierbed_link_figures_out_of_tolerance{link="mobile-edge + edge-cloud"}'), 0);
  metrics.setLinks([{ ...(LINKS[0] as LinkSettings), blocked: true }]);
  metrics.linksProved({ ...report, figures: [] });
  const after = await samples(metrics);
  assert.equal(after.get('tierbed_link_set_down{link="mobile-edge"}'), 1);
  assert.equal(after.get(`tierbed_link_measured_delay_seconds${up}`), undefined, 'an old proof says nothing');
});

test("faults in force are those of the study's board, when the metrics are asked for", async () => {
  const metrics = new OrchestratorMetrics();
  let active = [LINK_DOWN, { fault: 'node-kill', options: { tier: 'edge' } }];
  metrics.observer(INFO).opened?.(testbed(), { active: () => active } as unknown as FaultBoard);
  assert.equal((await samples(metrics)).get('tierbed_faults_in_force{fault="link-down",target="mobile-edge"}'), 1);
  active = active.slice(1);
  const got = await samples(metrics);
  assert.equal(got.get('tierbed_faults_in_force{fault="link-down",target="mobile-edge"}'), undefined);
  assert.equal(got.get('tierbed_faults_in_force{fault="node-kill",target="edge"}'), 1);
  active = [];
  assert.equal((await samples(metrics)).get('tierbed_faults_in_force{fault="node-kill",target="edge"}'), undefined);
});

test('tiers as the runtime sees them; what it cannot tell is left out, and no scrape waits for it', async () => {
  const metrics = new OrchestratorMetrics();
  let answer: (() => void) | undefined;
  const slow = new Promise<void>((resolve) => {
    answer = resolve;
  });
  metrics.watchTiers({
    ...noTierControl('test'),
    limits: async (tier) => {
      await slow;
      if (tier === 'cloud') throw new Error('it is gone');
      return { cpus: 0.5, memoryMiB: 256 };
    },
    usage: async () => ({ cpuSeconds: 12, throttledSeconds: 3, memoryBytes: 1e8 }),
  });
  assert.equal((await samples(metrics)).get('tierbed_tier_cpu_limit_cores{tier="edge"}'), undefined);
  answer?.();
  await new Promise((resolve) => setImmediate(resolve));
  const got = await samples(metrics);
  assert.equal(got.get('tierbed_tier_cpu_limit_cores{tier="edge"}'), 0.5);
  assert.equal(got.get('tierbed_tier_memory_limit_bytes{tier="edge"}'), 256 * 1024 * 1024);
  assert.equal(got.get('tierbed_tier_cpu_seconds_total{tier="mobile"}'), 12);
  assert.equal(got.get('tierbed_tier_cpu_throttled_seconds_total{tier="mobile"}'), 3);
  assert.equal(got.get('tierbed_tier_memory_usage_bytes{tier="mobile"}'), 1e8);
  assert.equal(got.get('tierbed_tier_cpu_limit_cores{tier="cloud"}'), undefined);
  // Asked again, the totals are not added up.
  assert.equal((await samples(metrics)).get('tierbed_tier_cpu_seconds_total{tier="mobile"}'), 12);
});

test("names and units follow Prometheus' rules", { skip: skipWithoutPrometheus() }, async () => {
  const metrics = new OrchestratorMetrics();
  const observer = metrics.observer(INFO);
  observer.opened?.(testbed(), NO_FAULTS);
  observer.recorded?.(row(), 1, 2);
  metrics.setLinks(LINKS);
  metrics.watchFaults({ active: () => [LINK_DOWN] });
  assert.deepEqual(await promtool(['check', 'metrics'], { input: await text(metrics) }), { ok: true, output: '' });
});
