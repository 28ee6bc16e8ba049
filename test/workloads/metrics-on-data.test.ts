import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../../base/random.js';
import { float32Tensor, float32Values } from '../../onnx/tensor.js';
import { openModel } from '../../onnx/runtime/session.js';
import { evaluate } from '../../operators/evaluate.js';
import { describeModel } from '../../operators/model-files.js';
import { loadWorkload, type ModelWorkloadSpec } from '../../workloads/index.js';
import type { Workload } from '../../workloads/types.js';
import { needsSharedData } from '../support/shared-data.js';

const score = async (workload: Workload) => evaluate(workload, [await describeModel(workload.modelPath)], 'evaluation');

test('top1 and top5 of MobileNetV1 on a thousand photographs are those of its record', async (t) => {
  const data = needsSharedData(t);
  if (!data) return;
  const spec: ModelWorkloadSpec = {
    model: join(data, 'models', 'mobilenet_v1_0.25_128.onnx'),
    data: {
      loader: 'image-folder',
      path: join(data, 'datasets', 'imagenet-sample-1000'),
      labels: join(data, 'datasets', 'imagenet-sample-1000', 'labels.csv'),
    },
    preprocess: {
      ...{ kind: 'image', input: 'input', size: 128, resizeShorter: 146 },
      ...{ scale: 127.5, mean: [1, 1, 1], std: [1, 1, 1] },
    },
    postprocess: { kind: 'argmax', output: 'logits', top: 5 },
    metric: 'top5',
  };
  const workload = await loadWorkload(spec, { baseDir: data });
  const top5 = await score(workload);
  assert.deepEqual([top5.n, top5.unreadable.length], [1000, 0]);
  // The record is of Pillow's pixels.
  assert.ok(Math.abs((top5.value ?? 0) - 0.713) <= 0.005, `top-5 ${top5.value}`);
  const top1 = await score({ ...workload, metric: 'top1' });
  assert.ok(Math.abs((top1.value ?? 0) - 0.446) <= 0.005, `top-1 ${top1.value}`);
});

test('the squared error of an autoencoder is that between its input and its output', async (t) => {
  const data = needsSharedData(t);
  if (!data) return;
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-mse-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const items = 5;
  const values = new Random(9).fillNormal(new Float32Array(640 * items), -20, 8);
  await writeFile(join(folder, 'x.bin'), new Uint8Array(values.buffer));
  const model = join(data, 'models', 'mlperf_tiny_ad_autoencoder.onnx');
  const workload = await loadWorkload(
    {
      model,
      data: { loader: 'tensor-file', path: 'x.bin', stored: 'float32', input: 'input', shape: [1, 640] },
      preprocess: { kind: 'tensors' },
      postprocess: { kind: 'numbers', output: 'output' },
      metric: { mse: { against: 'input' } },
    },
    { baseDir: folder },
  );
  const session = await openModel(model);
  let want = 0;
  for (let i = 0; i < items; i++) {
    const input = values.subarray(640 * i, 640 * (i + 1));
    const [output] = await session.run([{ name: 'input', tensor: float32Tensor([1, 640], input) }]);
    const given = float32Values(output?.tensor as never);
    want += input.reduce((sum, value, j) => sum + (value - (given[j] as number)) ** 2, 0) / 640 / items;
  }
  await session.close();
  const got = (await score(workload)).value as number;
  assert.ok(want > 1 && Math.abs(got - want) < 1e-9 * want, `${got}, not ${want}`);
});

test('a split of a real data set keeps its classes in proportion', async (t) => {
  const data = needsSharedData(t);
  if (!data) return;
  const workload = await loadWorkload(
    {
      model: join(data, 'models', 'resnet20_cifar10.onnx'),
      data: { loader: 'cifar', path: join(data, 'datasets', 'cifar10', 'train_lossless_4000.bin') },
      split: { calibration: 200, tuning: 100, evaluation: 50 },
      preprocess: {
        ...{ kind: 'image', input: 'input', size: 32, resizeShorter: 32, scale: 255 },
        ...{ mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
      },
      postprocess: { kind: 'argmax', output: 'logits' },
      metric: { f1: null },
    },
    { baseDir: data },
  );
  for (const [part, each] of [
    [workload.calibration, 20],
    [workload.tuning, 10],
    [workload.items, 5],
  ] as const) {
    assert.equal(part.length, 10 * each);
    for (let label = 0; label < 10; label++) {
      const n = part.filter((item) => item.label === String(label)).length;
      assert.ok(Math.abs(n - each) <= 3, `${n} of ${label}`);
    }
  }
  const { value } = await score(workload);
  assert.ok((value ?? 0) > 0.9, `macro F1 ${value} on pictures that the model was trained on`);
});
