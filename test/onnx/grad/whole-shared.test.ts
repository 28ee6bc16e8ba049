import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { gradRule } from '../../../onnx/grad/index.js';
import { trainableWeights } from '../../../onnx/grad/trainable.js';
import { readModel } from '../../../onnx/read.js';
import { type DenseTensor, denseTensor } from '../../../onnx/tensor.js';
import { needsSharedData, sharedModels } from '../../support/shared-data.js';
import { checkWholeModel, type WholeOptions } from './support/whole-model.js';

/** Real models, and what one step of them is like. */
const FLOAT_MODELS: Readonly<Record<string, WholeOptions>> = {
  'mobilenet_v1_0.25_128': {},
  'squeezenet1.0_deep_compressed': { batch: 1, weights: 2 },
  'mobilenet_v2_1.0_224': { batch: 1, weights: 1 },
  resnet20_cifar10: { batchNorm: 'batch', batch: 4 },
  resnet56_cifar10: {},
  mlperf_tiny_resnet8_cifar10: {},
  vit_ibp_3_3_8_cifar10: {},
  mlperf_tiny_kws_dscnn: {},
  mlperf_tiny_vww_mobilenet_96: {},
  mlperf_tiny_ad_autoencoder: {},
  magika_standard_v3_3: { inputs: [{ name: 'bytes', tensor: fileContents(2) }] },
  // Its Reshape is for one picture.
  mnist_cnn_opset8: { batch: 1 },
};

/** Bytes of files, as int32. */
function fileContents(count: number): DenseTensor {
  const random = new Random(1);
  const bytes = Int32Array.from({ length: count * 2048 }, () => random.integer(256));
  return denseTensor('int32', [count, 2048], new Uint8Array(bytes.buffer));
}

for (const [name, options] of Object.entries(FLOAT_MODELS)) {
  test(`${name}: gradients by differences`, async (t) => {
    const dir = needsSharedData(t);
    if (!dir) return;
    const found = sharedModels(dir).find((each) => each.name === name);
    assert.ok(found, `the shared data has ${name}`);
    await checkWholeModel(await readModel(found.path), { weights: 3, ...options });
  });
}

test('models without rules are refused by the operator', async (t) => {
  const dir = needsSharedData(t);
  if (!dir) return;
  const found = sharedModels(dir).find((each) => each.name === 'silero_vad_16k_op15');
  assert.ok(found);
  const model = await readModel(found.path);
  assert.ok(trainableWeights(model).length > 0 && !model.graph.nodes.every((node) => gradRule(node)));
  await assert.rejects(
    checkWholeModel(model, { batch: 1, dims: { sequence: 576, batch: 1 } }),
    /no gradient rule for If/,
  );
});
