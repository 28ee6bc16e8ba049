import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import type { SampleRow } from '../../../../analysis/columns.js';
import { readSamples } from '../../../../analysis/samples-csv.js';
import { TierbedError } from '../../../../base/errors.js';
import { silent } from '../../../../base/progress.js';
import { drawPlan, planLength } from '../../../../services/orchestrator/plan/plan.js';
import { Recorder } from '../../../../services/orchestrator/results/recorder.js';
import { type DriveOptions, drive } from '../../../../services/orchestrator/run/drive.js';

const STRATEGIES = ['a', 'b', 'c', 'd'].map((id) => ({
  id,
  workload: 'w',
  recipe: 'r',
  placement: 'mobile',
  session: 'warm',
}));
const ANSWER = {
  endToEndMs: 2,
  hops: [],
  postprocessMs: 0.1,
  prediction: 'cat',
  outputSha256: 'ab',
  startedAtUnixMs: 1,
};

function fake(items: number, rounds: number, changes: Partial<DriveOptions> = {}) {
  const rule = { seed: 1, rounds, workloads: [{ items, strategies: [0, 1, 2, 3] }] };
  const rows: SampleRow[] = [];
  const controller = new AbortController();
  const options: DriveOptions = {
    plan: drawPlan(rule),
    total: planLength(rule),
    strategies: STRATEGIES,
    items: [Array.from({ length: items }, (_, i) => ({ id: `item ${i}`, label: 'cat', sha256: `${i}` }))],
    payload: 'encoded',
    run: async () => ANSWER,
    record: async (row) => void rows.push(row),
    checkTestbed: async () => {},
    progress: silent,
    signal: controller.signal,
    ...changes,
  };
  return { rows, controller, options, rule };
}

test('rows follow the plan, one at a time', async () => {
  let running = 0;
  const { rows, options, rule } = fake(5, 2, {
    run: async () => {
      assert.equal(++running, 1, 'one sample at a time');
      await immediate();
      running--;
      return ANSWER;
    },
  });
  await drive(options);
  const planned = [...drawPlan(rule)].map((s) => `${s.sample} ${s.block} item ${s.item} ${STRATEGIES[s.strategy]?.id}`);
  assert.deepEqual(
    rows.map((row) => `${row.sample} ${row.block} ${row.item} ${row.strategy}`),
    planned,
  );
});

test('a bad item or a bad strategy fails in its rows and does not stop the run', async () => {
  const { rows, options } = fake(6, 3, {
    run: async (strategy, item) => {
      if (item.id === 'item 2') throw new TierbedError('invalid', 'not a picture');
      if (strategy.id === 'b') throw new TierbedError('invalid', 'not supported');
      return ANSWER;
    },
  });
  await drive(options);
  assert.equal(rows.length, 72);
  const failed = rows.filter((row) => row.status === 'failed');
  assert.equal(failed.length, 3 * (4 + 5));
  assert.ok(failed.every((row) => row.error === (row.item === 'item 2' ? 'not a picture' : 'not supported')));
});

test('an item that fails under ever so many strategies does not stop the run', async () => {
  const strategies = Array.from({ length: 30 }, (_, i) => ({ ...STRATEGIES[0], id: `${i}` }) as (typeof STRATEGIES)[0]);
  const rule = { seed: 1, rounds: 2, workloads: [{ items: 4, strategies: strategies.map((_, i) => i) }] };
  const { rows, options } = fake(4, 2, {
    plan: drawPlan(rule),
    strategies,
    run: async (_, { id }) => (id === 'item 1' ? Promise.reject(new Error('not a picture')) : ANSWER),
  });
  await drive(options);
  assert.equal(rows.filter((row) => row.status === 'failed').length, 60);
  assert.equal(rows.length, 240);
});

test('a run in which everything fails is stopped', async () => {
  const { rows, options } = fake(50, 1, { run: () => Promise.reject(new Error('out of paper')) });
  await assert.rejects(drive(options), {
    kind: 'refused',
    message: /last 10 samples failed, on 3 different items; the last one: out of paper/,
  });
  assert.equal(rows.length, 10);
});

test('what fails under a fault does not stop the run, takes its time, and says what it was', async () => {
  let ran = 0;
  const began = performance.now();
  const { rows, options } = fake(10, 1, {
    run: async () => {
      if (++ran > 5 && ran <= 30) throw new Error('no answer');
      return ANSWER;
    },
    faultDuring: () => (ran > 5 && ran <= 30 ? 'node-kill edge' : ''),
    faultyPaceMs: 10,
  });
  await drive(options);
  assert.equal(rows.length, 40);
  assert.equal(rows.filter((row) => row.fault === 'node-kill edge' && row.status === 'failed').length, 25);
  assert.ok(performance.now() - began >= 25 * 9);
});

test('a node that is lost ends the run even while a fault is in force', async () => {
  const { rows, options } = fake(5, 1, {
    run: () => Promise.reject(new Error('no answer')),
    faultDuring: () => 'link-down edge-cloud',
    checkTestbed: async () => {
      throw new TierbedError('unavailable', 'the edge node is lost');
    },
  });
  await assert.rejects(drive(options), { kind: 'unavailable' });
  assert.equal(rows.length, 1);
});

test('the sample that failed by a lost node is recorded, then the run stops', async () => {
  let calls = 0;
  const { rows, options } = fake(5, 1, {
    run: async () => {
      if (++calls === 7) throw new TierbedError('unavailable', 'the edge node is lost');
      return ANSWER;
    },
    checkTestbed: async () => {
      throw new TierbedError('unavailable', 'the edge node is lost');
    },
  });
  await assert.rejects(drive(options), { kind: 'unavailable', message: /edge/ });
  assert.equal(rows.length, 7);
  assert.equal(rows[6]?.status, 'failed');
});

test('a run goes on with the next sample when what was lost is back, and no sample is lost by it', async () => {
  let lost = false;
  let calls = 0;
  const recovered: number[] = [];
  const { rows, options, rule } = fake(5, 4, {
    run: async () => {
      if (++calls % 9 === 0) lost = true;
      if (lost) throw new TierbedError('unavailable', 'the edge node is lost');
      return ANSWER;
    },
    checkTestbed: async () => {
      if (lost) throw new TierbedError('unavailable', 'the edge node is lost');
    },
    recover: async () => {
      recovered.push(rows.length);
      lost = false;
    },
  });
  await drive(options);
  assert.deepEqual(
    rows.map((row) => row.sample),
    [...drawPlan(rule)].map(({ sample }) => sample),
  );
  assert.deepEqual(recovered, [9, 18, 27, 36, 45, 54, 63, 72]);
  assert.equal(rows.filter((row) => row.status === 'failed').length, 8);
});

test('a run in which everything fails is not saved by a testbed that is whole', async () => {
  const { options } = fake(50, 1, {
    run: () => Promise.reject(new Error('out of paper')),
    recover: () => Promise.reject(new Error('nothing was lost')),
  });
  await assert.rejects(drive(options), { kind: 'refused', message: /out of paper/ });
});

test('what does not come back ends the run, with the sample that met it on record', async () => {
  const { rows, options } = fake(5, 1, {
    run: () => Promise.reject(new TierbedError('unavailable', 'gone')),
    checkTestbed: () => Promise.reject(new TierbedError('unavailable', 'gone')),
    recover: () => Promise.reject(new TierbedError('unavailable', 'edge did not come back within 120 s')),
  });
  await assert.rejects(drive(options), { kind: 'unavailable', message: /did not come back/ });
  assert.equal(rows.length, 1);
});

test('a sample that was stopped is not recorded, one that was done is', async () => {
  let calls = 0;
  const stopped = fake(5, 1, {
    run: async () => {
      if (++calls < 7) return ANSWER;
      stopped.controller.abort();
      throw new TierbedError('cancelled', 'stopped');
    },
  });
  await assert.rejects(drive(stopped.options), { kind: 'cancelled' });
  assert.equal(stopped.rows.length, 6);
  calls = 0;
  const done = fake(5, 1, {
    run: async () => {
      if (++calls === 7) done.controller.abort();
      return ANSWER;
    },
  });
  await assert.rejects(drive(done.options), { kind: 'cancelled' });
  assert.equal(done.rows.length, 7);
});

test('memory does not grow with the samples', async (t) => {
  const gc = (globalThis as { gc?: () => void }).gc ?? (await exposeGc());
  const heapMiB = (): number => {
    gc();
    return process.memoryUsage().heapUsed / 2 ** 20;
  };
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-drive-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const recorder = await Recorder.open(join(folder, 'samples.csv'));
  t.after(() => recorder.close());
  const heaps: number[] = [];
  let recorded = 0;
  const { options } = fake(50, 75, {
    record: async (row) => {
      await recorder.record(row);
      if (++recorded === 3_000 || recorded === 15_000) heaps.push(heapMiB());
    },
  });
  await drive(options);
  let rows = 0;
  for await (const _ of readSamples(join(folder, 'samples.csv'))) rows++;
  heaps.push(heapMiB());
  assert.equal(rows, 15_000);
  const [early, late, read] = heaps as [number, number, number];
  assert.ok(late - early < 3, `${early.toFixed(1)} MiB after 3,000 rows, ${late.toFixed(1)} after 15,000`);
  assert.ok(read - early < 5, `${read.toFixed(1)} MiB after reading them`);
});

async function exposeGc(): Promise<() => void> {
  const [{ setFlagsFromString }, { runInNewContext }] = await Promise.all([import('node:v8'), import('node:vm')]);
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
