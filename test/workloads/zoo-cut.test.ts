import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import * as ort from 'onnxruntime-node';
import { cutModel, validateCut } from '../../onnx/cut.js';
import type { Model } from '../../onnx/model.js';
import { writeModel } from '../../onnx/write.js';
import { ARCHITECTURES } from '../../workloads/zoo/architectures.js';
import { type BertConfig, bertCuts, buildBert } from '../../workloads/zoo/bert.js';
import { buildResNet, type ResNetConfig, resNetCuts } from '../../workloads/zoo/resnet.js';
import { randomWeights } from '../../workloads/zoo/weights.js';

const folder = mkdtempSync(join(tmpdir(), 'tierbed-zoo-cut-'));
after(() => rmSync(folder, { recursive: true, force: true }));

type Values = Record<string, ort.Tensor>;

async function run(model: Model, given: Values): Promise<Values> {
  const path = join(folder, 'stage.onnx');
  await writeModel(model, path);
  const session = await ort.InferenceSession.create(path, { intraOpNumThreads: 1, graphOptimizationLevel: 'disabled' });
  try {
    return await session.run(Object.fromEntries(session.inputNames.map((name) => [name, given[name] as ort.Tensor])));
  } finally {
    await session.release();
  }
}

/** Each cut on its own, and the logits of its two stages against those of the whole, bit for bit. */
async function everyCut(model: Model, cuts: readonly (readonly string[])[], given: Values): Promise<void> {
  const whole = (await run(model, given)).logits as ort.Tensor;
  for (const cut of cuts) {
    const [front, back] = (await cutModel(model, [cut])) as [Model, Model];
    const crossing = await run(front, given);
    assert.deepEqual(Object.keys(crossing).sort(), [...cut].sort());
    const parted = (await run(back, crossing)).logits as ort.Tensor;
    assert.deepEqual(parted.dims, whole.dims);
    assert.deepEqual(parted.data, whole.data, `cut at ${cut.join(', ')}`);
  }
}

test('all the cuts that the zoo names are ones that the cutter makes', () => {
  for (const network of ARCHITECTURES) {
    const { model } = network.build(randomWeights(0));
    for (const cut of network.cuts) assert.doesNotThrow(() => validateCut(model, cut), `${network.name}: ${cut}`);
  }
});

test('a small ResNet cut behind any block answers as the whole, bit for bit', async () => {
  const config: ResNetConfig = {
    name: 'small',
    blocks: [1, 2],
    groups: 2,
    widthPerGroup: 32,
    classes: 5,
    stem: 8,
    imageSize: 16,
  };
  const { model } = buildResNet(config, randomWeights(1));
  const pixels = Float32Array.from({ length: 2 * 3 * 16 * 16 }, (_, i) => Math.sin(i));
  await everyCut(model, resNetCuts(config), { input: new ort.Tensor('float32', pixels, [2, 3, 16, 16]) });
});

for (const family of ['bert', 'roberta'] as const) {
  test(`a small ${family} cut behind its embeddings or any layer answers as the whole, bit for bit`, async () => {
    const config: BertConfig = {
      name: 'small',
      family,
      layers: 2,
      hidden: 8,
      heads: 2,
      intermediate: 12,
      vocabulary: 20,
      positions: 10,
      segments: family === 'bert' ? 2 : 1,
      labels: 2,
      layerNormEpsilon: 1e-5,
      padding: 1,
    };
    const { model } = buildBert(config, randomWeights(1));
    const int64 = (values: number[]) => new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [2, 3]);
    await everyCut(model, bertCuts(config), {
      input_ids: int64([3, 4, 5, 6, 7, 1]),
      attention_mask: int64([1, 1, 1, 1, 1, 0]),
      token_type_ids: int64([0, 0, 1, 0, 1, 1]),
    });
  });
}
