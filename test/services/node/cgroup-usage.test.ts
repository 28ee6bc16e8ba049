import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCpuUsage, readMemoryLimit, readMemoryUsage } from '../../../services/node/cgroup-usage.js';
import { resourcesHere } from '../../../services/node/resource-metrics.js';

const tree =
  (files: Readonly<Record<string, string>>) =>
  (path: string): string | undefined =>
    files[path];

const V2_CONTAINER = {
  '/proc/self/cgroup': '0::/\n',
  '/sys/fs/cgroup/cpu.max': '2500 5000\n',
  '/sys/fs/cgroup/cpu.stat':
    'usage_usec 12500000\nuser_usec 1\nsystem_usec 2\nnr_periods 4000\nnr_throttled 1000\nthrottled_usec 7250000\n',
  '/sys/fs/cgroup/memory.max': '268435456\n',
  '/sys/fs/cgroup/memory.current': '100000000\n',
  '/sys/fs/cgroup/memory.stat': 'anon 60000000\nfile 40000000\ninactive_file 30000000\n',
  '/sys/fs/cgroup/memory.events': 'low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 0\n',
};

const V1_CONTAINER = {
  // The host's paths; only the container's own groups are mounted.
  '/proc/self/cgroup': '4:memory:/docker/abc\n2:cpuacct:/docker/abc\n1:cpu:/docker/abc\n0::/docker/abc\n',
  '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '2500\n',
  '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '5000\n',
  '/sys/fs/cgroup/cpu/cpu.stat': 'nr_periods 4000\nnr_throttled 1000\nthrottled_time 7250000000\nnr_bursts 0\n',
  '/sys/fs/cgroup/cpuacct/cpuacct.usage': '12500000000\n',
  '/sys/fs/cgroup/memory/memory.limit_in_bytes': '268435456\n',
  '/sys/fs/cgroup/memory/memory.usage_in_bytes': '100000000\n',
  '/sys/fs/cgroup/memory/memory.stat': 'cache 40000000\ninactive_file 1\ntotal_inactive_file 30000000\n',
  '/sys/fs/cgroup/memory/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n',
};

for (const [version, files] of [
  ['v2', V2_CONTAINER],
  ['v1', V1_CONTAINER],
] as const) {
  test(`${version}: a container's CPU use, throttling and memory, in base units`, () => {
    assert.deepEqual(readCpuUsage(tree(files)), {
      usedSeconds: 12.5,
      periods: 4000,
      throttledPeriods: 1000,
      throttledSeconds: 7.25,
    });
    assert.deepEqual(readMemoryUsage(tree(files)), { usedBytes: 100e6, workingSetBytes: 70e6, oomKills: 2 });
    assert.equal(readMemoryLimit(tree(files)), 268435456);
  });
}

test('a container without limits still has its own group', () => {
  const v2 = { ...V2_CONTAINER, '/sys/fs/cgroup/cpu.max': 'max 100000', '/sys/fs/cgroup/memory.max': 'max' };
  assert.equal(readCpuUsage(tree(v2))?.usedSeconds, 12.5);
  assert.equal(readMemoryUsage(tree(v2))?.usedBytes, 100e6);
  assert.equal(readMemoryLimit(tree(v2)), undefined);
  const v1 = {
    ...V1_CONTAINER,
    '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1',
    '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712',
  };
  assert.equal(readCpuUsage(tree(v1))?.usedSeconds, 12.5);
  assert.equal(readMemoryUsage(tree(v1))?.usedBytes, 100e6);
  assert.equal(readMemoryLimit(tree(v1)), undefined);
});

test('combined v1 controllers are found where distributions mount them', () => {
  const files = {
    '/proc/self/cgroup': '3:cpu,cpuacct:/docker/abc\n',
    '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '50000',
    '/sys/fs/cgroup/cpu,cpuacct/cpu.stat': 'nr_periods 1\nnr_throttled 0\nthrottled_time 0\n',
    '/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage': '3000000000',
  };
  assert.equal(readCpuUsage(tree(files))?.usedSeconds, 3);
});

test('a group without a limit is passed over for the one above that has it', () => {
  const files = {
    '/proc/self/cgroup': '0::/job/step\n',
    '/sys/fs/cgroup/job/step/cpu.max': 'max 100000',
    '/sys/fs/cgroup/job/step/cpu.stat': 'usage_usec 1000000',
    '/sys/fs/cgroup/job/cpu.max': '100000 100000',
    '/sys/fs/cgroup/job/cpu.stat': 'usage_usec 5000000\nnr_periods 9\nnr_throttled 4\nthrottled_usec 1',
    '/sys/fs/cgroup/job/step/memory.max': '500',
    '/sys/fs/cgroup/job/step/memory.current': '100',
    '/sys/fs/cgroup/job/memory.max': '300',
    '/sys/fs/cgroup/job/memory.current': '200',
  };
  assert.equal(readCpuUsage(tree(files))?.usedSeconds, 5);
  assert.equal(readMemoryUsage(tree(files))?.usedBytes, 100);
  assert.equal(readMemoryLimit(tree(files)), 300, 'the tightest one is the limit');
});

test("a desktop's groups, and the whole machine, are not a tier's", () => {
  const v2 = {
    '/proc/self/cgroup': '0::/user.slice/app.scope\n',
    '/sys/fs/cgroup/user.slice/app.scope/cpu.max': 'max 100000',
    '/sys/fs/cgroup/user.slice/app.scope/memory.max': 'max',
    '/sys/fs/cgroup/user.slice/cpu.max': 'max 100000',
    // The root has figures, but no limits.
    '/sys/fs/cgroup/cpu.stat': 'usage_usec 99',
  };
  assert.equal(readCpuUsage(tree(v2)), undefined);
  assert.equal(readMemoryUsage(tree(v2)), undefined);
  const v1 = {
    '/proc/self/cgroup': '4:memory:/\n2:cpuacct:/\n1:cpu:/\n',
    '/sys/fs/cgroup/cpu/cgroup.sane_behavior': '0',
    '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1',
    '/sys/fs/cgroup/cpuacct/cpuacct.usage': '99',
    '/sys/fs/cgroup/memory/cgroup.sane_behavior': '0',
    '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712',
    '/sys/fs/cgroup/memory/memory.usage_in_bytes': '99',
  };
  assert.equal(readCpuUsage(tree(v1)), undefined);
  assert.equal(readMemoryUsage(tree(v1)), undefined);
  assert.equal(readCpuUsage(tree({})), undefined);
});

test('wherever this runs, there are figures', () => {
  const resources = resourcesHere();
  assert.ok(resources.cpu().usedSeconds > 0);
  assert.ok(resources.memory().usedBytes > 0);
  assert.ok(resources.memory().workingSetBytes <= resources.memory().usedBytes);
  assert.ok(resources.cpuLimitCores() > 0);
  assert.ok(Number.isFinite(resources.memoryLimitBytes()));
});
