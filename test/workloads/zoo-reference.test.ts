// Small networks of each family against what torchvision and Transformers answer with the same weights and inputs;
// bench/peers/zoo_reference.py, which has the same formulas, printed the expected logits.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import * as ort from 'onnxruntime-node';
import { elementCount } from '../../onnx/tensor.js';
import { writeModel } from '../../onnx/write.js';
import { type BertConfig, buildBert } from '../../workloads/zoo/bert.js';
import type { Network, Weights } from '../../workloads/zoo/network.js';
import { buildResNet, type ResNetConfig } from '../../workloads/zoo/resnet.js';

const folder = mkdtempSync(join(tmpdir(), 'tierbed-zoo-reference-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Numbers in [-1, 1] that depend on a name: sin(phase + i*i/1000), phase = the sum of the name's bytes. */
function wave(name: string, count: number): Float64Array {
  const phase = Buffer.from(name).reduce((sum, byte) => sum + byte, 0);
  return Float64Array.from({ length: count }, (_, i) => Math.sin(phase + (i * i) / 1000));
}

const waves: Weights =
  ({ name, shape }) =>
  () => {
    const values = wave(name, elementCount(shape));
    const scale = Math.sqrt((3 / values.length) * (shape[0] as number));
    if (shape.length > 1) return Float32Array.from(values, (v) => v * scale);
    if (/running_var$|\.weight$/.test(name)) return Float32Array.from(values, (v) => 1 + v / 2);
    return Float32Array.from(values, (v) => v / 10);
  };

async function answers(network: Network, feeds: Record<string, ort.Tensor>, expected: number[][]): Promise<void> {
  const path = join(folder, 'model.onnx');
  await writeModel(network.model, path);
  const session = await ort.InferenceSession.create(path, { intraOpNumThreads: 1 });
  const logits = (await session.run(feeds)).logits as ort.Tensor;
  await session.release();
  const want = expected.flat();
  const largest = Math.max(...want.map(Math.abs));
  const actual = [...(logits.data as Float32Array)];
  assert.deepEqual(logits.dims, [expected.length, expected[0]?.length]);
  actual.forEach((value, i) => {
    assert.ok(Math.abs(value - (want[i] as number)) <= 1e-4 * largest, `${actual} is not ${want}`);
  });
}

const RESNET = { name: 'small', blocks: [1, 2, 1, 1], classes: 4, stem: 64, imageSize: 32 };
const pictures = {
  input: new ort.Tensor('float32', Float32Array.from(wave('input', 2 * 3 * 32 * 32)), [2, 3, 32, 32]),
};

test('a ResNet with a width of its own answers as torchvision does', async () => {
  const config: ResNetConfig = { ...RESNET, groups: 1, widthPerGroup: 16 };
  await answers(buildResNet(config, waves), pictures, [
    [22.21731, -0.9842, -0.43919, 3.39066],
    [22.53054, -2.76191, -2.80488, 1.6625],
  ]);
});

test('a ResNeXt answers as torchvision does', async () => {
  const config: ResNetConfig = { ...RESNET, groups: 8, widthPerGroup: 4 };
  await answers(buildResNet(config, waves), pictures, [
    [50.41183, -10.15278, -1.82971, 0.1883],
    [53.19622, -10.7789, 0.3878, 0.58252],
  ]);
});

const BERT: BertConfig = {
  name: 'small',
  family: 'bert',
  layers: 2,
  hidden: 24,
  heads: 3,
  intermediate: 40,
  vocabulary: 50,
  positions: 12,
  segments: 2,
  labels: 2,
  layerNormEpsilon: 1e-12,
  padding: 0,
};
const int64 = (rows: number[][]) =>
  new ort.Tensor('int64', BigInt64Array.from(rows.flat(), BigInt), [rows.length, rows[0]?.length ?? 0]);
const text = {
  input_ids: int64([
    [5, 9, 33, 7, 2, 40],
    [11, 3, 28, 1, 1, 1],
  ]),
  attention_mask: int64([
    [1, 1, 1, 1, 1, 1],
    [1, 1, 1, 0, 0, 0],
  ]),
};
const segments = int64([
  [0, 0, 0, 1, 1, 1],
  [0, 1, 1, 0, 0, 0],
]);

test('a BERT answers as Transformers does', async () => {
  await answers(buildBert(BERT, waves), { ...text, token_type_ids: segments }, [
    [0.88643, 0.72016],
    [0.17896, 0.2973],
  ]);
});

test('a RoBERTa answers as Transformers does', async () => {
  const config: BertConfig = { ...BERT, family: 'roberta', segments: 1, layerNormEpsilon: 1e-5, padding: 1 };
  await answers(buildBert(config, waves), text, [
    [0.06798, 0.06947],
    [-0.07641, -0.57064],
  ]);
});
