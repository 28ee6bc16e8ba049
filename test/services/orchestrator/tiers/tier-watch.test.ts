import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { noTierControl } from '../../../../services/orchestrator/runtimes/no-tier-control.js';
import { TierWatch } from '../../../../services/orchestrator/tiers/tier-watch.js';

/** Tiers that use one processor for so many seconds more at each reading. */
function tiers(...readings: number[]) {
  let asked = 0;
  const control = {
    ...noTierControl('test'),
    limits: async () => ({ cpus: 1, memoryMiB: 64 }),
    usage: async (tier: string) => {
      if (tier !== 'edge') throw new Error('it does not run');
      const cpuSeconds = readings[asked++] ?? 0;
      return { cpuSeconds, throttledSeconds: 0, memoryBytes: 1 };
    },
  };
  return { control, asked: () => asked };
}

test('the use of a processor is what two readings differ by, and the first answer waits for the second', async () => {
  const watch = new TierWatch();
  const { control, asked } = tiers(10, 12);
  watch.watch(control);
  const edge = (await watch.known()).get('edge');
  assert.equal(asked(), 2);
  // 2 s of a processor in the half second and more between them.
  assert.ok((edge?.cpus ?? 0) > 0 && (edge?.cpus ?? 9) <= 4, `${edge?.cpus}`);
  const cloud = (await watch.known()).get('cloud');
  assert.deepEqual([cloud?.limits.cpus, cloud?.usage, cloud?.cpus], [1, undefined, undefined]);
});

test('a runtime is not asked more often than its answers are good for, however many ask', async () => {
  const watch = new TierWatch(60_000);
  const { control, asked } = tiers(1, 2, 3, 4);
  watch.watch(control);
  await Promise.all([watch.known(), watch.known()]);
  const before = asked();
  for (let i = 0; i < 20; i++) {
    watch.now();
    await watch.known();
  }
  assert.equal(asked(), before);
  watch.watch(control);
  assert.ok(watch.now().has('edge'), 'the same tiers are not forgotten');
});

test('a tier that was started again counts from 0; other tiers are asked anew', async () => {
  const watch = new TierWatch(0);
  const { control } = tiers(10, 12, 1);
  watch.watch(control);
  await watch.known();
  watch.now();
  await sleep(20);
  assert.equal(watch.now().get('edge')?.cpus, undefined);
  watch.watch(undefined);
  assert.equal(watch.now().size, 0);
});
