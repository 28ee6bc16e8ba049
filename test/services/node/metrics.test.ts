import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { encodeItemFile } from '../../../workloads/item-file.js';
import { parseExposition } from '../../support/exposition.js';
import { promtool, skipWithoutPrometheus } from '../../support/prometheus.js';
import { type TestNode, testNode } from './harness.js';
import { layers, rows } from './models.js';

const text = async ({ node }: TestNode): Promise<string> =>
  (await fetch(`http://${node.metricsAddress}/metrics`)).text();
const samples = async (node: TestNode): Promise<Map<string, number>> => parseExposition(await text(node));

/** A chain of two stages, cold or warm, with one sample run on it. */
async function chain(t: TestContext, sessionMode: 'WARM' | 'COLD') {
  const edge = await testNode(t);
  const mobile = await testNode(t, { tier: 'mobile' });
  await edge.deploy('cut', layers(2, 4, 'h1', 'y'), { sessionMode });
  const next = { address: edge.node.dataAddress, deployment: 'cut' };
  const preprocessJson = JSON.stringify({ kind: 'tensors' });
  await mobile.deploy('cut', layers(0, 2, 'x', 'h1'), { sessionMode, preprocessJson, next });
  const itemSha256 = await mobile.put(encodeItemFile(rows(7)));
  const sample = await mobile.control.runSample({ deployment: 'cut', itemSha256, sampleId: 's', deadlineMs: 10_000 });
  return { edge, mobile, sample };
}

test('a sample over two nodes is counted on both: what was sent is what was received', async (t) => {
  const { edge, mobile, sample } = await chain(t, 'WARM');
  const first = await samples(mobile);
  const second = await samples(edge);
  const [, hop] = sample.hops;
  assert.equal(first.get('tierbed_started_samples_total{status="ok",tier="mobile"}'), 1);
  assert.equal(first.get('tierbed_requests_total{status="ok",tier="mobile"}'), 0);
  assert.equal(second.get('tierbed_requests_total{status="ok",tier="edge"}'), 1);
  assert.equal(first.get('tierbed_next_hop_requests_total{status="ok",tier="mobile"}'), 1);
  assert.equal(first.get('tierbed_next_hop_seconds_count{tier="mobile"}'), 1);
  assert.equal(second.get('tierbed_next_hop_requests_total{status="ok",tier="edge"}'), 0);
  assert.equal(first.get('tierbed_next_hop_sent_bytes_total{tier="mobile"}'), hop?.upBytes);
  assert.equal(second.get('tierbed_received_bytes_total{tier="edge"}'), hop?.upBytes);
  assert.equal(first.get('tierbed_next_hop_received_bytes_total{tier="mobile"}'), hop?.downBytes);
  assert.equal(second.get('tierbed_sent_bytes_total{tier="edge"}'), hop?.downBytes);
  for (const [node, tier] of [
    [first, 'mobile'],
    [second, 'edge'],
  ] as const) {
    assert.equal(node.get(`tierbed_part_seconds_count{tier="${tier}",part="compute"}`), 1);
    assert.equal(node.get(`tierbed_part_seconds_count{tier="${tier}",part="load"}`), 0);
    assert.equal(node.get(`tierbed_sessions{tier="${tier}"}`), 1);
    assert.equal(node.get(`tierbed_model_load_seconds_count{tier="${tier}",session="warm"}`), 1);
    assert.equal(node.get(`tierbed_model_load_seconds_count{tier="${tier}",session="cold"}`), 0);
  }
});

test('a cold request loads its model, and the histogram has the time of it', async (t) => {
  const { mobile, sample } = await chain(t, 'COLD');
  const metrics = await samples(mobile);
  // Once to look at the model when it was deployed, once for the sample.
  assert.equal(metrics.get('tierbed_model_load_seconds_count{tier="mobile",session="cold"}'), 2);
  const sum = metrics.get('tierbed_model_load_seconds_sum{tier="mobile",session="cold"}') ?? 0;
  assert.ok(
    sum * 1000 > (sample.hops[0]?.loadMs ?? 0),
    `${sum} s holds the ${sample.hops[0]?.loadMs} ms of the sample`,
  );
  assert.equal(metrics.get('tierbed_sessions{tier="mobile"}'), 0);
});

test('a next node that is gone is a failure by kind, and so is the sample', async (t) => {
  const { edge, mobile } = await chain(t, 'WARM');
  await edge.node.close(0);
  const itemSha256 = await mobile.put(encodeItemFile(rows(8)));
  await assert.rejects(mobile.control.runSample({ deployment: 'cut', itemSha256, sampleId: 's', deadlineMs: 10_000 }));
  const metrics = await samples(mobile);
  assert.equal(metrics.get('tierbed_next_hop_requests_total{status="unavailable",tier="mobile"}'), 1);
  assert.equal(metrics.get('tierbed_started_samples_total{status="unavailable",tier="mobile"}'), 1);
  assert.equal(metrics.get('tierbed_started_samples_total{status="ok",tier="mobile"}'), 1);
});

test('CPU, memory and their limits are there, and CPU time only grows', async (t) => {
  const node = await testNode(t);
  const before = await samples(node);
  for (const name of ['cpu_limit_cores', 'memory_usage_bytes', 'memory_working_set_bytes', 'memory_limit_bytes']) {
    const value = before.get(`tierbed_${name}{tier="edge"}`);
    assert.ok(value !== undefined && value > 0 && Number.isFinite(value), `${name} is ${value}`);
  }
  for (const name of ['cpu_periods', 'cpu_throttled_periods', 'cpu_throttled_seconds', 'memory_oom_kills']) {
    assert.ok((before.get(`tierbed_${name}_total{tier="edge"}`) ?? -1) >= 0, name);
  }
  await node.deploy('m', layers(0, 4), { warmupRuns: 50 });
  const after = await samples(node);
  const used = (metrics: Map<string, number>): number => metrics.get('tierbed_cpu_seconds_total{tier="edge"}') ?? 0;
  assert.ok(used(after) > used(before) && used(before) > 0, `${used(before)} s, then ${used(after)} s`);
});

test("names and units follow Prometheus' rules", { skip: skipWithoutPrometheus() }, async (t) => {
  const { mobile } = await chain(t, 'WARM');
  assert.deepEqual(await promtool(['check', 'metrics'], { input: await text(mobile) }), { ok: true, output: '' });
});
