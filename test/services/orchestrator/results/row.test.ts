import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COLUMNS } from '../../../../analysis/columns.js';
import { Random } from '../../../../base/random.js';
import { failedRow, sampleRow } from '../../../../services/orchestrator/results/row.js';
import { HopFailure } from '../../../../services/rpc/hop-failure.js';
import type { Hop } from '../../../../services/rpc/node-control.js';
import { sumOfPartsNs } from '../../../analysis/rows.js';

const strategy = { id: 's', workload: 'w', recipe: 'r', placement: 'mobile-edge-cloud', session: 'warm' };
const identity = { sample: 3, round: 1, block: 2, item: 'a', label: 'cat', strategy, payload: 'encoded' };

function hop(random: Random, fields: Partial<Hop>): Hop {
  const ms = (): number => random.uniform(0, 20);
  return {
    ...{ tier: 'x', stage: 0, ranStage: true, upMs: ms(), downMs: ms(), upBytes: 7, downBytes: 9, deserialiseMs: ms() },
    ...{ serialiseMs: ms(), preprocessMs: ms(), queueMs: ms(), loadMs: ms(), computeMs: ms(), handoverMs: ms() },
    ...{ decodeMs: ms(), encodeMs: ms() },
    ...{ failoverMs: ms(), attempts: 0, fellBack: false, exited: false },
    ...fields,
  };
}

test('the parts add up to the end-to-end time to the nanosecond, whatever they are', () => {
  const random = new Random(5);
  for (let i = 0; i < 500; i++) {
    const hops = [0, 1, 2].slice(0, 1 + random.integer(3)).map((stage) => hop(random, { stage }));
    const row = sampleRow(identity, {
      ...{ endToEndMs: random.uniform(0, 1000), hops, postprocessMs: random.uniform(), prediction: 'cat' },
      ...{ outputSha256: '', startedAtUnixMs: 1 },
    });
    assert.equal(sumOfPartsNs(row), Math.round((row.endToEndMs as number) * 1e6));
  }
});

test('links and bytes are by hop, queue, load and compute by stage', () => {
  const random = new Random(6);
  const zero = { upMs: 0, downMs: 0, upBytes: 0, downBytes: 0 };
  const hops = [
    hop(random, { ...zero, ranStage: false, computeMs: 0, loadMs: 0 }),
    hop(random, { stage: 0, upMs: 5, downMs: 6, upBytes: 100, downBytes: 10, computeMs: 2, loadMs: 1, queueMs: 0.5 }),
    hop(random, { stage: 1, upMs: 7, downMs: 8, upBytes: 200, downBytes: 20, computeMs: 3, loadMs: 4, queueMs: 0.25 }),
  ];
  const row = sampleRow(identity, {
    ...{ endToEndMs: 500, hops, postprocessMs: 0.1, prediction: 'dog', outputSha256: 'ff', startedAtUnixMs: 1 },
  });
  const pick = (names: string[]) => names.map((name) => row[name]);
  assert.deepEqual(pick(['hop1UpMs', 'hop1DownMs', 'hop2UpMs', 'hop2DownMs']), [5, 6, 7, 8]);
  assert.deepEqual(pick(['hop1UpBytes', 'hop1DownBytes', 'hop2UpBytes', 'hop2DownBytes']), [100, 10, 200, 20]);
  assert.deepEqual(pick(['stage0ComputeMs', 'stage1ComputeMs', 'stage2ComputeMs']), [2, 3, null]);
  assert.deepEqual(pick(['stage0LoadMs', 'stage1LoadMs', 'stage0QueueMs', 'stage1QueueMs']), [1, 4, 0.5, 0.25]);
  assert.equal(row.computeMs, 5);
  assert.equal(row.correct, false);
  assert.equal(row.status, 'ok');
  assert.equal(row.strategy, 's');
});

test('rows say which way their answers came', () => {
  const random = new Random(7);
  const ok = { endToEndMs: 500, postprocessMs: 0.1, prediction: 'dog', outputSha256: 'ff', startedAtUnixMs: 1 };
  const row = (...hops: Hop[]) => sampleRow(identity, { ...ok, hops });
  const plain = hop(random, {});
  assert.deepEqual([row(plain, plain).way, row(plain, plain).attempts], ['direct', 0]);
  const retried = row(hop(random, { attempts: 2 }), hop(random, { attempts: 1 }));
  assert.deepEqual([retried.way, retried.attempts], ['retry', 3]);
  const fellBack = row(plain, hop(random, { fellBack: true }), plain);
  assert.deepEqual([fellBack.way, fellBack.attempts], ['fallback', 0]);
  const failed = failedRow(identity, new HopFailure('timeout', 'no answer', 4), 12);
  assert.deepEqual([failed.way, failed.attempts, failed.error], ['', 4, 'no answer']);
});

test('rows say at the exit of which stage they were answered', () => {
  const random = new Random(8);
  const ok = { endToEndMs: 500, postprocessMs: 0.1, prediction: 'dog', outputSha256: 'ff', startedAtUnixMs: 1 };
  const row = (...hops: Hop[]) => sampleRow(identity, { ...ok, hops });
  assert.equal(row(hop(random, { stage: 0, exited: true })).exit, 0);
  const forwards = hop(random, { ranStage: false });
  assert.equal(row(forwards, hop(random, { stage: 0 }), hop(random, { stage: 1, exited: true })).exit, 1);
  assert.equal(row(forwards, hop(random, { stage: 0 })).exit, null);
  assert.equal(failedRow(identity, new Error('lost'), 12).exit, null);
});

test('every row has every column and no other', () => {
  const names = COLUMNS.map(({ name }) => name).sort();
  const ok = sampleRow(identity, {
    ...{ endToEndMs: 1, hops: [], postprocessMs: 0, prediction: '', outputSha256: '', startedAtUnixMs: 1 },
  });
  assert.deepEqual(Object.keys(ok).sort(), names);
  const failed = failedRow({ ...identity, label: '' }, new Error('the edge node is lost'), 12);
  assert.deepEqual(Object.keys(failed).sort(), names);
  assert.equal(failed.status, 'failed');
  assert.equal(failed.error, 'the edge node is lost');
  assert.equal(failed.endToEndMs, null);
  assert.equal(failed.correct, null);
});
