import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assertNodeSees,
  assertReadBack,
  cfsBandwidth,
  hostLimits,
  tierLimits,
} from '../../../../../services/orchestrator/runtimes/docker/limits.js';

test('a quota is counted out in 5 ms, or in as long as it takes to be a millisecond', () => {
  assert.deepEqual(cfsBandwidth(16), { periodUs: 5000, quotaUs: 80_000 });
  assert.deepEqual(cfsBandwidth(1), { periodUs: 5000, quotaUs: 5000 });
  assert.deepEqual(cfsBandwidth(0.25), { periodUs: 5000, quotaUs: 1250 });
  assert.deepEqual(cfsBandwidth(0.2), { periodUs: 5000, quotaUs: 1000 });
  assert.deepEqual(cfsBandwidth(0.1), { periodUs: 10_000, quotaUs: 1000 });
  assert.deepEqual(cfsBandwidth(0.001), { periodUs: 1_000_000, quotaUs: 1000 });
  for (let cpus = 0.001; cpus < 20; cpus *= 1.07) {
    const { periodUs, quotaUs } = cfsBandwidth(cpus);
    assert.ok(Number.isInteger(periodUs) && Number.isInteger(quotaUs));
    assert.ok(quotaUs >= 1000 && periodUs >= 1000 && periodUs <= 1_000_000, `${cpus}: ${quotaUs} of ${periodUs}`);
    assert.ok(Math.abs(quotaUs / periodUs / cpus - 1) < 0.001, `${cpus} became ${quotaUs / periodUs}`);
  }
});

test('limits go to Docker and come back, and nothing may be swapped out', () => {
  const host = hostLimits({ cpus: 0.5, memoryMiB: 512 });
  assert.deepEqual(host, { CpuPeriod: 5000, CpuQuota: 2500, Memory: 536_870_912, MemorySwap: 536_870_912 });
  assert.deepEqual(tierLimits(host), { cpus: 0.5, memoryMiB: 512 });
  assert.equal(tierLimits({ ...host, CpuQuota: -1 }), undefined);
  assert.equal(tierLimits({ ...host, Memory: 0 }), undefined);
});

test('what is read back must be what was set, by Docker and by the node', () => {
  const asked = { cpus: 0.5, memoryMiB: 512 };
  const host = hostLimits(asked);
  assertReadBack('edge', asked, host);
  const wrong = { kind: 'refused' as const };
  assert.throws(() => assertReadBack('edge', asked, { ...host, CpuQuota: 5000 }), {
    ...wrong,
    message: 'edge was limited to 0.5 CPUs and 512 MiB, but Docker reads back 1 CPUs and 512 MiB',
  });
  assert.throws(() => assertReadBack('edge', asked, {}), { ...wrong, message: /no limits/ });
  assert.throws(() => assertReadBack('edge', asked, { ...host, Memory: 2 ** 28 }), { ...wrong, message: /256 MiB/ });

  assertNodeSees('edge', asked, { quota: { cpus: 0.5 }, memoryLimitBytes: 512 * 2 ** 20 - 4096 });
  const sees = (cpus: number | null, memoryMiB: number | null) => () =>
    assertNodeSees('edge', asked, {
      quota: cpus === null ? null : { cpus },
      memoryLimitBytes: memoryMiB === null ? null : memoryMiB * 2 ** 20,
    });
  assert.throws(sees(null, 512), { ...wrong, message: /its node sees in its control group no CPU quota and 512 MiB/ });
  assert.throws(sees(0.25, 512), { ...wrong, message: /0\.25 CPUs/ });
  assert.throws(sees(0.5, null), { ...wrong, message: /no memory limit/ });
  assert.throws(sees(0.5, 1024), { ...wrong, message: /1024 MiB/ });
});
