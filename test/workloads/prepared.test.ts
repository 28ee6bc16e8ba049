import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partHash } from '../../workloads/prepared.js';
import type { Workload, WorkloadItem } from '../../workloads/types.js';

/** A workload of a few bytes, which counts how often its items are read. */
function counted(texts: readonly string[], labels: readonly string[] = texts.map(() => 'a')) {
  const reads = { count: 0 };
  const items = texts.map((text, i): WorkloadItem => {
    const read = async () => {
      reads.count++;
      if (text === 'broken') throw new Error('no such file');
      return new TextEncoder().encode(text);
    };
    return { id: String(i), label: labels[i] as string, read };
  });
  const work: Workload = {
    ...{ name: 'w', modelPath: 'm.onnx', items: [], training: [], calibration: items, tuning: [], metric: 'none' },
    ...{ preprocess: { kind: 'tensors' }, postprocess: { kind: 'digest' } },
  };
  return { work, reads };
}

test('a part is read once for all that ask for its hash, even at the same time', async () => {
  const { work, reads } = counted(['x', 'y']);
  const [first, second] = await Promise.all([partHash(work, 'calibration'), partHash(work, 'calibration')]);
  assert.equal(await partHash(work, 'calibration'), first);
  assert.equal(second, first);
  assert.equal(reads.count, 2);
  assert.notEqual(await partHash(work, 'tuning'), first);
  // Another workload, though it has the same items, is read by itself.
  assert.equal(await partHash({ ...work }, 'calibration'), first);
  assert.equal(reads.count, 4);
});

test('the hash follows bytes, labels, order and what is made of them', async () => {
  const hash = (work: Workload) => partHash(work, 'calibration');
  const { work } = counted(['x', 'y']);
  const others = [
    counted(['x', 'z']).work,
    counted(['y', 'x']).work,
    counted(['xy', '']).work,
    counted(['x', 'y'], ['a', 'b']).work,
    counted(['x', 'broken']).work,
    { ...work, metric: 'top1' },
  ];
  const hashes = await Promise.all([work, ...others].map(hash));
  assert.equal(new Set(hashes).size, hashes.length);
  assert.equal(await hash(counted(['x', 'y']).work), hashes[0]);
});

test('one that was cancelled is asked for again', async () => {
  const { work } = counted(['x']);
  await assert.rejects(partHash(work, 'calibration', AbortSignal.abort()), { kind: 'cancelled' });
  assert.match(await partHash(work, 'calibration'), /^[0-9a-f]{64}$/);
});
