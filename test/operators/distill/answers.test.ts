import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { silent } from '../../../base/progress.js';
import { GraphBuilder } from '../../../onnx/build.js';
import type { Dim, Model } from '../../../onnx/model.js';
import { float32Tensor, float32Values } from '../../../onnx/tensor.js';
import { answersByBatch, answersByItem } from '../../../operators/distill/answers.js';
import { openRows } from '../../../operators/distill/row-store.js';
import { openTeacher } from '../../../operators/distill/teacher.js';
import { encodeItemFile } from '../../../workloads/item-file.js';
import type { Workload } from '../../../workloads/types.js';

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-answers-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** `double` [N, 2] of the input, and `sum` [N, 1]; `answer` is another name of the first. */
function teacherModel(batch: Dim, opset = 17): Model {
  const g = new GraphBuilder({ name: 'teacher', opset });
  const x = g.input('x', 'float32', [batch, 2]);
  const double = g.node('Add', [x, x], {}, 'double');
  g.node('ReduceSum', [x, g.int64([1])], { keepdims: 1 }, 'sum');
  g.output(g.node('Identity', [double], {}, 'answer'), 'float32', [batch, 2]);
  return g.build();
}

const itemOf = (n: number) => [n, n + 0.5];

function workloadOf(count: number, values = itemOf): Workload {
  const training = Array.from({ length: count }, (_, n) => ({
    ...{ id: `item ${n}`, label: '0' },
    read: async () => encodeItemFile([{ name: 'x', tensor: float32Tensor([1, 2], Float32Array.from(values(n))) }]),
  }));
  return {
    ...{ name: 'w', modelPath: '', items: [], calibration: [], tuning: [], training },
    ...{ preprocess: { kind: 'tensors' }, postprocess: { kind: 'digest' }, metric: 'none' },
  };
}

const batchOf = (...numbers: number[]) => ({
  items: numbers.map((n) => ({ id: `item ${n}`, label: '0' })),
  inputs: [{ name: 'x', tensor: float32Tensor([numbers.length, 2], Float32Array.from(numbers.flatMap(itemOf))) }],
  step: 0,
  epoch: 0,
});

const signal = new AbortController().signal;

test('each item is asked about once, and batches are made of what was said, in memory or from a file', async (t) => {
  const folder = await folderOf(t);
  for (const [boundBytes, where] of [
    [1e6, 'memory'],
    [59, 'file'],
  ] as const) {
    const teacher = await openTeacher(teacherModel('N'), ['double', 'sum'], 1);
    let asked = 0;
    const ask: typeof teacher.ask = (inputs) => {
      asked++;
      return teacher.ask(inputs);
    };
    const counted = { ...teacher, ask };
    const path = join(folder, 'below', 'answers.f32');
    const answers = await answersByItem(counted, workloadOf(5), { boundBytes, path, progress: silent, signal });
    assert.equal(asked, 5);
    // Its file has no name any more: nothing is left whatever ends this process.
    assert.deepEqual(existsSync(dirname(path)) ? await readdir(dirname(path)) : [], []);
    for (const numbers of [[3, 0, 3], [4]]) {
      const [double, sum] = await answers.of(batchOf(...numbers));
      assert.deepEqual(double?.shape, [numbers.length, 2]);
      assert.deepEqual(
        [...float32Values(double as never)],
        numbers.flatMap((n) => [2 * n, 2 * n + 1]),
      );
      assert.deepEqual(
        [...float32Values(sum as never)],
        numbers.map((n) => 2 * n + 0.5),
      );
    }
    assert.equal(asked, 5);
    assert.deepEqual([answers.facts.items, answers.facts.where, answers.facts.bytes], [5, where, 60]);
    await answers.close();
    await teacher.close();
  }
});

test('a teacher for batches of one is asked item by item', async () => {
  for (const batch of ['N', 1]) {
    const teacher = await openTeacher(teacherModel(batch), ['answer', 'sum'], 1);
    const answers = answersByBatch(teacher);
    const [answer, sum] = await answers.of(batchOf(1, 4));
    assert.deepEqual([...float32Values(answer as never)], [2, 3, 8, 9]);
    assert.deepEqual(sum?.shape, [2, 1]);
    assert.deepEqual([...float32Values(sum as never)], [2.5, 8.5]);
    await teacher.close();
  }
});

test('what a teacher says must be finite, and items readable', async (t) => {
  const options = { boundBytes: 1e6, path: join(await folderOf(t), 'a'), progress: silent, signal };
  const teacher = await openTeacher(teacherModel('N'), ['answer'], 1);
  t.after(() => teacher.close());
  const bad = workloadOf(3, (n) => [n === 1 ? Number.POSITIVE_INFINITY : 0, 0]);
  await assert.rejects(answersByItem(teacher, bad, options), { kind: 'invalid', message: /item 1 is not finite/ });
  const unread = workloadOf(2);
  const read = async () => Uint8Array.of(1);
  const none = { ...unread, training: unread.training.map((item) => ({ ...item, read })) };
  await assert.rejects(answersByItem(teacher, none, options), { kind: 'invalid', fix: /item 0/ });
  const nothing = answersByItem(teacher, workloadOf(0), options);
  await assert.rejects(nothing, { kind: 'invalid', message: /no training part/, fix: /split/ });
  const stop = AbortSignal.abort();
  await assert.rejects(answersByItem(teacher, unread, { ...options, signal: stop }), { kind: 'cancelled' });
});

test('answers that do not go into a file say why', async (t) => {
  const folder = await folderOf(t);
  await writeFile(join(folder, 'taken'), '');
  await assert.rejects(openRows(10, 10, 0, join(folder, 'taken', 'deeper', 'answers.f32')), {
    kind: 'refused',
    fix: /TIERBED_CACHE/,
  });
});

test('another process that keeps answers under the same name is not in the way', async (t) => {
  const path = join(await folderOf(t), 'answers.f32');
  const other = join(dirname(path), 'other.mjs');
  const module = new URL('../../../operators/distill/row-store.js', import.meta.url).href;
  await writeFile(
    other,
    `const { openRows } = await import('${module}');
    const rows = await openRows(2, 1, 0, ${JSON.stringify(path)});
    await rows.set(0, Float32Array.of(7));
    await rows.close();`,
  );
  const rows = await openRows(2, 1, 0, path);
  await rows.set(0, Float32Array.of(1));
  await rows.set(1, Float32Array.of(2));
  execFileSync(process.execPath, [other]);
  const into = new Float32Array(1);
  await rows.get(0, into);
  assert.deepEqual([...into], [1]);
  await rows.close();
  assert.deepEqual(await readdir(dirname(path)), ['other.mjs']);
});

test('a disk that is full says so', { skip: !existsSync('/dev/full') }, async (t) => {
  const path = join(await folderOf(t), 'full');
  await symlink('/dev/full', `${path}.${process.pid}`);
  const rows = await openRows(2, 4, 0, path);
  await assert.rejects(rows.set(0, new Float32Array(4)), { kind: 'exhausted', fix: /Free some space/ });
  await rows.close();
});
