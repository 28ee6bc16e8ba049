import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { registerResourceMetrics } from '../../../services/node/resource-metrics.js';
import { parseExposition } from '../../support/exposition.js';

test('nothing is read before anybody asks, then each source once, and totals are what was read', async () => {
  const reads = { cpu: 0, memory: 0 };
  const registry = new Registry();
  registerResourceMetrics(registry, {
    cpu: () => {
      reads.cpu++;
      return { usedSeconds: 10 * reads.cpu, periods: 7, throttledPeriods: 3, throttledSeconds: 1.5 };
    },
    memory: () => {
      reads.memory++;
      return { usedBytes: 100, workingSetBytes: 60, oomKills: 2 };
    },
    cpuLimitCores: () => 0.5,
    memoryLimitBytes: () => 1000,
  });
  assert.deepEqual(reads, { cpu: 0, memory: 0 });
  const scrape = async () => Object.fromEntries(parseExposition(await registry.metrics()));
  const expected = {
    tierbed_cpu_seconds_total: 10,
    tierbed_cpu_periods_total: 7,
    tierbed_cpu_throttled_periods_total: 3,
    tierbed_cpu_throttled_seconds_total: 1.5,
    tierbed_cpu_limit_cores: 0.5,
    tierbed_memory_usage_bytes: 100,
    tierbed_memory_working_set_bytes: 60,
    tierbed_memory_limit_bytes: 1000,
    tierbed_memory_oom_kills_total: 2,
  };
  assert.deepEqual(await scrape(), expected);
  assert.deepEqual(reads, { cpu: 1, memory: 1 });
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(await scrape(), { ...expected, tierbed_cpu_seconds_total: 20 }, 'totals are not added up');
  assert.deepEqual(reads, { cpu: 2, memory: 2 });
});
