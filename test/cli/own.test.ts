import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silent } from '../../base/progress.js';
import { withHalfWeights } from '../../cli/own/half-weights.js';
import type { TrainedRecord } from '../../cli/own/record.js';
import { trainOwn } from '../../cli/own/train-own.js';
import { GraphBuilder } from '../../onnx/build.js';
import { initializerTensor } from '../../onnx/initializer.js';
import { type DenseTensor, denseTensor, float32Values } from '../../onnx/tensor.js';
import { buildVariants } from '../../operators/recipe.js';
import type { OwnWorkload } from '../../workloads/own/own-workload.js';
import { text } from '../../workloads/own/text/index.js';
import { textItems } from '../../workloads/own/text/items.js';

const TRAINING = { epochs: 1, batch: 16 };
const FIT = { classes: 5, vocabulary: 300, positions: 40, layers: 1, heads: 1, hidden: 8, intermediate: 8 };

/** The texts, few of them, and networks that learn nothing in a second. */
const tiny: OwnWorkload = {
  name: 'tiny',
  networks: {
    teacher: { name: 'bert-tiny', options: { ...FIT, intermediate: 64 }, training: TRAINING },
    student: { name: 'bert-tiny', options: FIT, training: TRAINING },
  },
  data(seed) {
    const { training: _, ...data } = text.data(seed);
    const items = { training: textItems(seed, 'training', 64), tuning: textItems(seed, 'tuning', 10) };
    return { ...data, ...items, name: 'tiny', items: textItems(seed, 'evaluation', 40) };
  },
};

test('networks and steps that train are kept in a form that is found again', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-own-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const recipes = new Map([
    [
      'tuned',
      [
        { operator: 'train', options: TRAINING, for: ['tiny'] },
        { operator: 'fp16', options: {} },
      ],
    ],
    ['others', [{ operator: 'train', options: TRAINING, for: ['text'] }]],
    ['fp16', [{ operator: 'fp16', options: {} }]],
    ['whole', []],
  ]);
  const told: string[] = [];
  const out = join(folder, 'out');
  const record = await trainOwn(tiny, recipes, {
    ...{ work: join(folder, 'work'), out, threads: 1, progress: silent, signal: new AbortController().signal },
    done: (workload: string, name: string, { accuracy }: TrainedRecord) => told.push(`${workload} ${name} ${accuracy}`),
  });
  assert.deepEqual(Object.keys(record), ['teacher', 'student', 'tuned', 'fp16']);
  assert.equal(told.length, 4);
  assert.deepEqual(record.fp16?.steps, []);
  const { teacher, tuned } = record;
  assert.ok(teacher && tuned && teacher.items === 40 && tuned.steps.length === 1);
  assert.ok(teacher.interval[0] <= teacher.accuracy && teacher.accuracy <= teacher.interval[1]);
  assert.deepEqual(await readdir(join(out, 'steps')), tuned.steps);
  assert.deepEqual((await readdir(join(out, 'tiny'))).sort(), ['student.onnx.br', 'teacher.onnx.br']);

  // Whoever builds the recipe of the teacher finds the step, and does not train.
  const workload = { ...tiny.data(1), modelPath: join(folder, 'work', 'tiny', 'teacher.onnx') };
  const [variant] = await buildVariants(workload, 'tuned', recipes.get('tuned') ?? [], {
    ...{ cache: join(folder, 'cache'), kept: join(out, 'steps'), threads: 1 },
    onStep({ step, found }) {
      assert.equal(found, step.operator === 'train');
    },
  });
  assert.equal(variant?.steps.length, 2);
});

test('weights that are kept are numbers of float16, and those of quantised models as they are', () => {
  const build = (quantised: boolean) => {
    const g = new GraphBuilder({ name: 'g' });
    const x = g.input('x', 'float32', [1, 32]);
    const w = g.weight('w', [32, 32], () => Float32Array.from({ length: 1024 }, (_, i) => Math.sin(i)));
    const b = g.weight('b', [32], () => Float32Array.from({ length: 32 }, (_, i) => Math.sin(i)));
    let y = g.node('Add', [g.node('MatMul', [x, w]), b]);
    if (quantised) {
      const q = g.initializer('q', denseTensor('uint8', [1, 32], new Uint8Array(32)));
      y = g.node('Add', [y, g.node('DequantizeLinear', [q, g.float32(0.1)])]);
    }
    g.output(y, 'float32', [1, 32]);
    return g.build();
  };
  const valuesOf = (model: ReturnType<typeof build>, name: string) => {
    const found = model.graph.initializers.find((each) => each.name === name);
    assert.ok(found);
    return float32Values(initializerTensor(found) as DenseTensor);
  };
  const [given, halved] = [build(false), withHalfWeights(build(false))];
  assert.deepEqual(valuesOf(halved, 'b'), valuesOf(given, 'b'));
  const [before, after] = [valuesOf(given, 'w'), valuesOf(halved, 'w')];
  assert.ok(
    after.every(
      (value, i) => Math.abs(value - (before[i] as number)) <= Math.max(Math.abs(value) * 2 ** -11, 2 ** -25),
    ),
  );
  const bits = new Uint32Array(after.buffer, after.byteOffset, after.length);
  assert.ok(bits.every((word) => (word & 0x1fff) === 0));
  assert.deepEqual(valuesOf(withHalfWeights(build(true)), 'w'), before);
});
