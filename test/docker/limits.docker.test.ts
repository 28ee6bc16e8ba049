import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { ComposeTestbed } from '../support/compose-testbed.js';
import { openTestbed } from '../support/shared-testbed.js';

interface TiersView {
  readonly tiers: readonly {
    readonly name: string;
    readonly state: string;
    readonly limits: { readonly cpus: number; readonly memoryMiB: number } | null;
  }[];
}

let testbed: ComposeTestbed;
before(async () => {
  testbed = await openTestbed();
});

test('what tier set asks for is in force in Docker and in the kernel, and is shown', async (t) => {
  t.after(() => testbed.must('tier', 'set', 'edge', '--cpus', '0.5', '--memory-mb', '1024'));
  await testbed.must('tier', 'set', 'edge', '--cpus', '0.25', '--memory-mb', '512');
  const { HostConfig } = await testbed.inspect('edge');
  const { CpuPeriod, CpuQuota, Memory, MemorySwap } = HostConfig;
  assert.deepEqual(
    { CpuPeriod, CpuQuota, Memory, MemorySwap },
    { CpuPeriod: 5000, CpuQuota: 1250, Memory: 512 * 2 ** 20, MemorySwap: 512 * 2 ** 20 },
  );
  // Control groups of version 2, or of version 1.
  const read =
    'cat /sys/fs/cgroup/cpu.max || cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us';
  const kernel = (await testbed.compose('exec', '-T', 'edge', 'bash', '-c', `(${read}) 2>/dev/null`))
    .trim()
    .split(/\s+/);
  assert.deepEqual(kernel, ['1250', '5000']);
  const { tiers } = await testbed.json<TiersView>('tier', 'show');
  assert.deepEqual(tiers.find(({ name }) => name === 'edge')?.limits, { cpus: 0.25, memoryMiB: 512 });
  assert.match(await testbed.must('status'), /edge .*0\.25/);

  // What is not named stays.
  await testbed.must('tier', 'set', 'edge', '--cpus', '0.75');
  const { HostConfig: now } = await testbed.inspect('edge');
  assert.deepEqual([now.CpuPeriod, now.CpuQuota, now.Memory], [5000, 3750, 512 * 2 ** 20]);
});

test('limits that the machine has not, or the kernel takes not, are refused with the fix', async () => {
  const { HostConfig: before } = await testbed.inspect('edge');
  for (const flags of [
    ['--cpus', '4000'],
    ['--cpus', '0'],
    ['--memory-mb', '100000000'],
    ['--cpus', '-1'],
  ]) {
    const { code, stderr } = await testbed.tierbed(['tier', 'set', 'edge', ...flags]);
    assert.ok(code !== 0, flags.join(' '));
    assert.match(stderr, /fix: /, flags.join(' '));
  }
  assert.deepEqual((await testbed.inspect('edge')).HostConfig, before);
});

test('a tier is paused, killed and started again by hand', async (t) => {
  t.after(() => testbed.must('tier', 'start', 'cloud'));
  const state = async (): Promise<string | undefined> =>
    (await testbed.json<TiersView>('tier', 'show')).tiers.find(({ name }) => name === 'cloud')?.state;
  await testbed.must('tier', 'pause', 'cloud');
  assert.equal(await state(), 'paused');
  await testbed.must('tier', 'resume', 'cloud');
  assert.equal(await state(), 'running');
  await testbed.must('tier', 'kill', 'cloud');
  assert.equal((await testbed.inspect('cloud')).State.Running, false);
  await testbed.must('tier', 'start', 'cloud');
  assert.equal(await state(), 'running');
  assert.equal((await testbed.inspect('cloud')).State.Running, true);
});
