import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse } from 'yaml';
import { packageRoot } from '../../base/paths.js';
import { silent } from '../../base/progress.js';
import { OrchestratorMetrics } from '../../services/orchestrator/index.js';
import { runStudy } from '../../services/orchestrator/run/run.js';
import { local } from '../../services/orchestrator/runtimes/local.js';
import { loadStudy } from '../../services/orchestrator/study/study.js';
import { TIER_NAMES, type TierName } from '../../services/orchestrator/tiers/tiers.js';
import { writeTinyStudy } from '../services/orchestrator/tiny-study.js';
import { panelQueries, readDashboard } from '../support/dashboard.js';
import { metricNames } from '../support/exposition.js';
import { query, rulesOf, skipWithoutPrometheus, startPrometheus, withoutData } from '../support/prometheus.js';
import { serveAgentMetrics, serveRegistry } from './agent-metrics.js';

const PROMETHEUS = join(packageRoot, 'docker', 'prometheus');
const GRAFANA = join(packageRoot, 'docker', 'grafana');
const RECORDING = readFileSync(join(PROMETHEUS, 'rules', 'recording.yml'), 'utf8');
const ALERTS = readFileSync(join(PROMETHEUS, 'rules', 'alerts.yml'), 'utf8');

/** How long every query may take to have data: rates need some scrapes, and a busy machine some patience. */
const DATA_MS = 120_000;

test('the dashboard is one that Grafana takes as it is, and nobody changes in it', () => {
  const { uid, schemaVersion, editable, panels } = readDashboard();
  assert.equal(uid, 'tierbed');
  assert.equal(schemaVersion, 41);
  assert.equal(editable, false);
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length, 'panels have ids of their own');
  for (const { title, type, description, targets = [] } of panels) {
    if (type === 'row') continue;
    assert.ok(description, `${title} says what it shows`);
    assert.ok(targets.length > 0, `${title} asks something`);
  }
});

test('no two panels lie over each other', () => {
  const { panels } = readDashboard();
  for (const [i, a] of panels.entries()) {
    assert.ok(a.gridPos.x + a.gridPos.w <= 24, a.title);
    for (const b of panels.slice(i + 1)) {
      const apart =
        a.gridPos.x + a.gridPos.w <= b.gridPos.x ||
        b.gridPos.x + b.gridPos.w <= a.gridPos.x ||
        a.gridPos.y + a.gridPos.h <= b.gridPos.y ||
        b.gridPos.y + b.gridPos.h <= a.gridPos.y;
      assert.ok(apart, `${a.title} and ${b.title}`);
    }
  }
});

test('what the dashboard asks is the data source that is provisioned', () => {
  const { datasources } = parse(
    readFileSync(join(GRAFANA, 'provisioning', 'datasources', 'prometheus.yml'), 'utf8'),
  ) as { datasources: { uid: string; url: string; editable: boolean }[] };
  assert.deepEqual(
    datasources.map(({ uid, url, editable }) => ({ uid, url, editable })),
    [{ uid: 'tierbed-prometheus', url: 'http://prometheus:9090', editable: false }],
  );
  const { panels, annotations } = readDashboard();
  const used = [
    ...panels.flatMap(({ datasource, targets = [] }) => [datasource?.uid, ...targets.map((t) => t.datasource.uid)]),
    ...annotations.list.map(({ datasource }) => datasource.uid),
  ].filter((uid) => uid !== undefined && uid !== '-- Grafana --');
  assert.deepEqual([...new Set(used)], ['tierbed-prometheus']);
});

test('every recording rule is used by a panel, by an alert or by another rule', () => {
  const rules = [...rulesOf(RECORDING), ...rulesOf(ALERTS)];
  const asked = [...rules, ...panelQueries()].map(({ expr }) => expr);
  for (const { name } of rulesOf(RECORDING)) {
    assert.ok(
      asked.some((expr) => expr.includes(name)),
      `nothing asks ${name}`,
    );
  }
});

test('every panel and every rule has data in a real Prometheus while a study runs', {
  skip: skipWithoutPrometheus(),
}, async (t) => {
  const folder = await temporaryFolder(t);
  const metrics = new OrchestratorMetrics();
  const stop = new AbortController();
  const orchestrator = await serveRegistry(t, metrics.registry);
  const { nodes, ended } = startStudy(metrics, folder, stop.signal);
  t.after(() => {
    stop.abort();
    return ended;
  });
  const addresses = new Map([['orchestrator:7070', orchestrator]]);
  const tiers = await nodes;
  for (const tier of TIER_NAMES) {
    addresses.set(`${tier}-link:8002`, tiers[tier]);
    addresses.set(`${tier}-link:8005`, await serveAgentMetrics(t, tier));
  }
  metrics.watchFaults({ active: () => [{ fault: 'link-down', options: { link: 'mobile-edge' } }] });
  const url = await startPrometheus(t, configure(folder, addresses));

  const recorded = rulesOf(RECORDING).map(({ name }) => ({ panel: 'recording rule', expr: name }));
  assert.deepEqual(await withoutData(url, [...panelQueries(), ...recorded], DATA_MS), []);

  const up = await query(url, 'up{job!="prometheus"}');
  assert.deepEqual(
    up.map(({ metric, value }) => `${metric.job} ${metric.tier ?? '-'} ${value}`).sort(),
    [
      ...TIER_NAMES.map((tier) => `link-agent ${tier} 1`),
      ...TIER_NAMES.map((tier) => `node ${tier} 1`),
      'orchestrator - 1',
    ].sort(),
  );
  const exported = await query(url, 'count({exported_tier!=""}) or vector(0)');
  assert.equal(exported[0]?.value, '0', 'no label is in the way of another');
  const faults = await query(url, 'ALERTS{alertname="TierbedFaultInForce", alertstate="firing"}');
  assert.equal(faults[0]?.metric.target, 'mobile-edge');

  // The parts of a mean sample add up to it, whatever tier they are of.
  const difference = await query(
    url,
    `max(abs(sum by (strategy) (strategy_part_tier:tierbed_sample_part_seconds:mean2m)
      - sum by (strategy) (rate(tierbed_sample_seconds_sum[2m])) / (sum by (strategy) (rate(tierbed_sample_seconds_count[2m])) > 0)))`,
  );
  assert.ok(Number(difference[0]?.value) < 0.05, `parts and wholes differ by ${difference[0]?.value} s`);
});

test('docs/metrics.md names every figure of the nodes and of the orchestrator, every rule and every alert', async (t) => {
  const document = readFileSync(join(packageRoot, 'docs', 'metrics.md'), 'utf8');
  const { testNode } = await import('../services/node/harness.js');
  const { node } = await testNode(t);
  const ofNode = metricNames(await (await fetch(`http://${node.metricsAddress}/metrics`)).text());
  const ofOrchestrator = metricNames(await new OrchestratorMetrics().registry.metrics());
  const figures = [...ofNode, ...ofOrchestrator].filter((name) => name.startsWith('tierbed_'));
  const rules = [...rulesOf(RECORDING), ...rulesOf(ALERTS)].map(({ name }) => name);
  const missing = [...new Set([...figures, ...rules])].filter((name) => !document.includes(`\`${name}\``));
  assert.deepEqual(missing, []);
});

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-dashboard-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs a study without end; gives the addresses of its nodes' metrics when they are up. */
function startStudy(metrics: OrchestratorMetrics, folder: string, signal: AbortSignal) {
  const observer = metrics.observer({ study: 'tiny', runtime: 'local' });
  let resolve: (nodes: Record<TierName, string>) => void;
  let reject: (error: unknown) => void;
  const nodes = new Promise<Record<TierName, string>>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  const run = async (): Promise<void> => {
    const path = await writeTinyStudy(folder, { rounds: 1000 });
    await runStudy(await loadStudy(path), {
      out: join(folder, 'results'),
      runtime: local,
      progress: silent,
      signal,
      observer: {
        ...observer,
        opened: (testbed, faults) => {
          observer.opened?.(testbed, faults);
          const of = (tier: TierName): string => testbed.nodes[tier].description.metricsAddress;
          resolve({ mobile: of('mobile'), edge: of('edge'), cloud: of('cloud') });
        },
      },
    });
  };
  const ended = run().catch((error: unknown) => {
    reject(error);
  });
  return { nodes, ended };
}

/** The project's own configuration and rules, with other addresses. Gives the folder. */
function configure(folder: string, addresses: ReadonlyMap<string, string>): string {
  const config = join(folder, 'prometheus');
  cpSync(PROMETHEUS, config, { recursive: true });
  const file = join(config, 'prometheus.yml');
  let text = readFileSync(file, 'utf8');
  for (const [from, to] of addresses) {
    assert.ok(text.includes(`"${from}"`), `${from} is a target`);
    text = text.replace(`"${from}"`, `"${to}"`);
  }
  writeFileSync(file, text);
  return config;
}
