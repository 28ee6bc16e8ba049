import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraphBuilder } from '../../../onnx/build.js';
import { inferValues } from '../../../onnx/infer.js';
import type { Model, Node } from '../../../onnx/model.js';
import { crossEntropy } from '../../../operators/train/cross-entropy.js';
import { CacheBudget, ItemStore } from '../../../operators/train/items.js';
import { peakLiveBytes, runningOrder } from '../../../operators/train/live-bytes.js';
import { memoryNeed, refuseTooLarge } from '../../../operators/train/memory.js';
import { setUp } from '../../../operators/train/setup.js';
import { pointWorkload, toyRequest } from './toy.js';

const { signal } = new AbortController();
const progress = { start() {}, update() {}, stop() {} };

test('the most that is alive at one time is found from shapes', async () => {
  const g = new GraphBuilder({ name: 'live', opset: 18 });
  const x = g.input('x', 'float32', [10, 10]);
  const a = g.node('Exp', [x]);
  const b = g.node('Reshape', [a, g.int64([100])]);
  const c = g.node('Exp', [b]);
  const d = g.node('Concat', [c, c], { axis: 0 });
  const e = g.node('ReduceSum', [d], { keepdims: 0 });
  g.output(e, 'float32');
  const model = g.build();
  // a is in b's memory, and gone when d is made: c (100) and d (200).
  assert.equal(peakLiveBytes(model, await inferValues(model)), 4 * 300);
});

test('nodes are taken to run in the order that the runtime has: from the last output back, not as they stand', async () => {
  const g = new GraphBuilder({ name: 'order', opset: 18 });
  const x = g.input('x', 'float32', [100]);
  const sums: string[] = [];
  for (const name of ['a', 'b', 'c']) {
    const inner = g.node('Exp', [x], {}, name);
    sums.push(
      g.node('ReduceSum', [g.node('Mul', [inner, inner], {}, `${name}${name}`)], { keepdims: 0 }, `${name}.sum`),
    );
  }
  for (const name of sums) g.output(name, 'float32');
  const model = g.build();
  const names = runningOrder(model.graph).map(({ outputs }) => outputs[0]);
  assert.deepEqual(names, ['c', 'cc', 'c.sum', 'b', 'bb', 'b.sum', 'a', 'aa', 'a.sum']);
  // One branch after the other, though all three begin first where they stand.
  const mixed = {
    ...model,
    graph: { ...model.graph, nodes: sorted(model, ['a', 'b', 'c', 'aa', 'bb', 'cc', ...sums]) },
  };
  assert.equal(peakLiveBytes(mixed, await inferValues(mixed)), 4 * 200);
});

/** The nodes of a model by the names of what they make. */
function sorted({ graph }: Model, names: readonly string[]): Node[] {
  return names.map((name) => graph.nodes.find(({ outputs }) => outputs[0] === name) as Node);
}

test('what a training takes is told by its parts, and refused where it does not fit', async () => {
  const workload = pointWorkload();
  const objective = crossEntropy(workload);
  const need = await memoryNeed(await setUp(await toyRequest(workload, objective, { batch: 16, patience: 2 })));
  const parameters = 2 * 8 + 8 + 8 * 3 + 3;
  assert.equal(need.weights, 2 * 4 * parameters);
  assert.equal(need.optimizer, 2 * 4 * parameters);
  // The loss is an output too.
  assert.equal(need.gradients, 4 * parameters + 4);
  assert.equal(need.items, (96 + 60) * 8);
  assert.ok(need.activations > 4 * 16 * 8 && need.activations < 4 * 16 * 8 * 20, String(need.activations));
  refuseTooLarge(need, need.total);
  assert.throws(() => refuseTooLarge({ ...need, activations: 9e9, total: 9e9 + need.total }, 5e9), {
    kind: 'exhausted',
    message: /training takes about 9.0 GB \(activations 9.0 GB, .*5.0 GB are free/,
    fix: /smaller `batch`/,
  });
});

test('prepared items are kept up to a bound, and read again beyond it', async () => {
  let reads = 0;
  const workload = pointWorkload();
  const training = workload.training.map((item) => {
    const read = (): Promise<Uint8Array> => {
      reads++;
      return item.read();
    };
    return { ...item, read };
  });
  const store = await ItemStore.open({ ...workload, training }, 'training', new CacheBudget(50 * 8), {
    progress,
    signal,
  });
  assert.deepEqual([store.length, store.kept, reads], [96, 50, 96]);
  await store.take([0, 49]);
  assert.equal(reads, 96);
  await store.take([50, 95]);
  assert.equal(reads, 98);
});

test('items that cannot be read are told, and left out', async () => {
  const workload = pointWorkload();
  const training = workload.training.map((item, i) => {
    return i === 7 ? { ...item, read: async () => Promise.reject(new Error('gone')) } : item;
  });
  const store = await ItemStore.open({ ...workload, training }, 'training', new CacheBudget(1e6), { progress, signal });
  assert.deepEqual([store.length, store.unreadable], [95, [{ id: 'a7', reason: 'gone' }]]);
});
