import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  chooseThreads,
  parseCfsQuota,
  parseCpuMax,
  parseSelfCgroup,
  readCpuQuota,
} from '../../../services/node/cgroup.js';

const tree =
  (files: Readonly<Record<string, string>>) =>
  (path: string): string | undefined =>
    files[path];

test('cpu.max and the CFS pair are read in processors', () => {
  assert.equal(parseCpuMax('150000 100000\n'), 1.5);
  assert.equal(parseCpuMax('2500 5000'), 0.5);
  assert.equal(parseCpuMax('max 100000'), undefined);
  assert.equal(parseCpuMax(''), undefined);
  assert.equal(parseCfsQuota('400000\n', '100000\n'), 4);
  assert.equal(parseCfsQuota('-1', '100000'), undefined);
  assert.equal(parseCfsQuota('100000', '0'), undefined);
});

test('group paths are told apart by hierarchy', () => {
  assert.deepEqual(parseSelfCgroup('0::/user.slice/a:b\n'), { v2: '/user.slice/a:b' });
  assert.deepEqual(parseSelfCgroup('5:cpuset:/x\n4:cpu,cpuacct:/docker/abc\n3:memory:/m\n0::/init\n'), {
    v1Cpu: '/docker/abc',
    v1Cpuacct: '/docker/abc',
    v1Memory: '/m',
    v2: '/init',
  });
});

test('v2: the tightest of the own group and all above it counts', () => {
  const quota = readCpuQuota(
    tree({
      '/proc/self/cgroup': '0::/a/b/c\n',
      '/sys/fs/cgroup/a/b/c/cpu.max': '800000 100000',
      '/sys/fs/cgroup/a/b/cpu.max': 'max 100000',
      '/sys/fs/cgroup/a/cpu.max': '250000 100000',
    }),
  );
  assert.deepEqual(quota, { cpus: 2.5, source: '/sys/fs/cgroup/a/cpu.max' });
});

test("v2 in a container: the path is the host's, the mount the container's own", () => {
  const quota = readCpuQuota(
    tree({ '/proc/self/cgroup': '0::/docker/abc\n', '/sys/fs/cgroup/cpu.max': '50000 100000' }),
  );
  assert.equal(quota?.cpus, 0.5);
});

test('v1: quota and period of the cpu controller, ancestors included', () => {
  const quota = readCpuQuota(
    tree({
      '/proc/self/cgroup': '7:memory:/other\n3:cpu,cpuacct:/docker/abc\n',
      '/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us': '-1',
      '/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us': '100000',
      '/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us': '300000',
      '/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us': '100000',
    }),
  );
  assert.deepEqual(quota, { cpus: 3, source: '/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us' });
});

test('no control groups, no quota', () => {
  assert.equal(
    readCpuQuota(() => undefined),
    undefined,
  );
});

test('threads: the tier, else the quota rounded down but never to 0, else the processors', () => {
  const quota = (cpus: number) => ({ cpus, source: 'f' });
  assert.deepEqual(chooseThreads(3, quota(1), 8), { threads: 3, reason: 'set for the tier' });
  assert.equal(chooseThreads(undefined, quota(2.9), 8).threads, 2);
  assert.equal(chooseThreads(undefined, quota(0.5), 8).threads, 1);
  assert.match(chooseThreads(undefined, quota(0.5), 8).reason, /0\.5 CPUs in f/);
  assert.equal(chooseThreads(undefined, quota(16), 8).threads, 8);
  assert.equal(chooseThreads(undefined, undefined, 8).threads, 8);
  assert.equal(chooseThreads(0, undefined, 8).threads, 8, '0 is not a statement');
});
