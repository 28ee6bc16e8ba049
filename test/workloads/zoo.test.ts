import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TierbedError } from '../../base/errors.js';
import { initializerTensor } from '../../onnx/initializer.js';
import type { Initializer, Model } from '../../onnx/model.js';
import { type DenseTensor, float32Values } from '../../onnx/tensor.js';
import { ARCHITECTURES, architecture, parametersOf, summarise } from '../../workloads/zoo/architectures.js';
import { freshWeights } from '../../workloads/zoo/fresh-weights.js';
import { parameterCount } from '../../workloads/zoo/network.js';
import type { NetworkOptions } from '../../workloads/zoo/options.js';
import { noWeights, randomWeights } from '../../workloads/zoo/weights.js';
import { runModel, seededInputs } from '../support/run-model.js';

/** What torchvision 0.29 and Transformers 5.23 count with `sum(p.numel() for p in model.parameters())`. */
const PARAMETERS = {
  wide_resnet101_2: 126_886_696,
  resnext101_64x4d: 83_455_272,
  wide_resnet50_2: 68_883_240,
  resnext50_32x4d: 25_028_904,
  'bert-base': 109_483_778,
  'roberta-base': 124_647_170,
  'bert-small': 28_764_674,
  'roberta-tiny': 27_983_362,
  // With the projection shortcuts that published weights have; the paper's own have 269,722, 464,154 and 853,018.
  resnet20: 272_474,
  resnet32: 466_906,
  resnet56: 855_770,
  mobilenet_v2: 3_504_872,
  'bert-mini': 11_171_074,
  'bert-tiny': 4_386_178,
};

test('the networks have the parameters of those they are named after', () => {
  const counted = Object.fromEntries(ARCHITECTURES.map((a) => [a.name, summarise(a).parameters]));
  assert.deepEqual(counted, PARAMETERS);
});

test('what is chosen of a network is in its shapes, and in its cuts', () => {
  const inputsOf = (name: string, options: NetworkOptions) => {
    const { graph } = architecture(name).build(noWeights, options).model;
    const shapeOf = ({ name, type }: (typeof graph.inputs)[number]) => [name, type.kind === 'tensor' ? type.shape : []];
    return [...graph.inputs, ...graph.outputs].map(shapeOf);
  };
  const count = (name: string, options: NetworkOptions) => parameterCount(parametersOf(architecture(name), options));
  assert.equal(count('resnet20', { shortcut: 'pad' }), 269_722);
  assert.equal(count('resnet56', { shortcut: 'pad' }), 853_018);
  assert.deepEqual(inputsOf('resnet20', { classes: 7, imageSize: 48, stemStride: 2 }), [
    ['input', ['N', 3, 48, 48]],
    ['logits', ['N', 7]],
  ]);
  assert.deepEqual(inputsOf('mobilenet_v2', { classes: 5, imageSize: 64, width: 0.35 }).at(-1), ['logits', ['N', 5]]);
  // 1.66 million in its authors' table.
  assert.ok(Math.abs(count('mobilenet_v2', { width: 0.35 }) / 1.66e6 - 1) < 0.02);
  assert.deepEqual(inputsOf('bert-tiny', { classes: 6, vocabulary: 500 }).at(-1), ['logits', ['N', 6]]);
  const options = { layers: 3, hidden: 96, heads: 4, intermediate: 192, vocabulary: 500, positions: 40 };
  const names = parametersOf(architecture('bert-mini'), options).map(({ name }) => name);
  assert.ok(names.includes('bert.encoder.layer.2.output.dense.weight') && !names.some((name) => /layer\.3/.test(name)));
  const small = architecture('resnet32').cutsOf({ blocks: [1, 2], channels: [8, 16] });
  assert.deepEqual(small, [['layer1.0'], ['layer2.0'], ['layer2.1']]);
  assert.deepEqual(architecture('bert-tiny').cutsOf({ layers: 1 }).at(-1), ['encoder.layer.0']);
});

test('what does not fit is refused', () => {
  const refused = (name: string, options: object, text: RegExp) =>
    assert.throws(() => architecture(name).build(noWeights, options), { kind: 'invalid', message: text });
  refused('resnet20', { layers: 3 }, /resnet20 has no option layers/);
  refused('resnet20', { blocks: [1, 2] }, /2 groups of blocks and 3 of channels/);
  refused('bert-tiny', { hidden: 100, heads: 3 }, /100 hidden units cannot be divided among 3 heads/);
});

test('a small network keeps its padded shortcut through strides and channels', async () => {
  const { model } = architecture('resnet20').build(randomWeights(1), { shortcut: 'pad' });
  const { logits } = await runModel(model, seededInputs(model, { N: 2 }));
  const values = logits?.data as Float32Array;
  assert.equal(values.length, 20);
  assert.ok(values.every(Number.isFinite) && new Set(values.subarray(0, 10)).size > 5);
});

test('fresh weights are those that training begins with', () => {
  const { model } = architecture('mobilenet_v2').build(freshWeights(3));
  const valuesOf = (name: string) => {
    const found = model.graph.initializers.find((each) => each.name === name);
    return float32Values(initializerTensor(found as Initializer) as DenseTensor);
  };
  assert.ok(valuesOf('features.2.conv.1.1.weight').every((value) => value === 1));
  assert.ok(valuesOf('features.2.conv.1.1.bias').every((value) => value === 0));
  assert.ok(valuesOf('features.2.conv.1.1.running_var').every((value) => value === 1));
  const deviation = (values: Float32Array) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
  // 320 channels of 1x1 are fed.
  assert.ok(Math.abs(deviation(valuesOf('features.17.conv.2.weight')) / Math.sqrt(2 / 320) - 1) < 0.02);
  assert.ok(Math.abs(deviation(valuesOf('classifier.1.weight')) / 0.01 - 1) < 0.02);
  const bert = architecture('bert-tiny').build(freshWeights(3)).model;
  const words = bert.graph.initializers.find(({ name }) => /word_embeddings/.test(name));
  const values = float32Values(initializerTensor(words as Initializer) as DenseTensor);
  assert.ok(values.every((value) => Math.abs(value) <= 0.04));
  // A normal distribution cut off at two deviations has 0.88 of its deviation.
  assert.ok(Math.abs(deviation(values) / 0.02 - 0.88) < 0.01);
  // 128 inputs, where BERT has 768: larger by the root of six.
  const query = bert.graph.initializers.find(({ name }) => /layer\.1\.attention\.self\.query\.weight/.test(name));
  const weights = float32Values(initializerTensor(query as Initializer) as DenseTensor);
  assert.ok(Math.abs(deviation(weights) / (0.02 * Math.sqrt(6)) - 0.88) < 0.01);
});

test('running statistics are counted apart: two a channel of every batch normalisation', () => {
  const buffers = Object.fromEntries(ARCHITECTURES.map((a) => [a.name, summarise(a).buffers]));
  assert.equal(buffers.wide_resnet101_2, 137_856);
  assert.equal(buffers.resnext101_64x4d, 202_880);
  assert.equal(buffers.wide_resnet50_2, 68_224);
  assert.equal(buffers.resnext50_32x4d, 68_224);
  assert.equal(buffers['bert-base'], 0);
});

test('inputs and outputs are those of the study', () => {
  const image = summarise(architecture('resnext101_64x4d'));
  assert.deepEqual(image.inputs, [{ name: 'input', dtype: 'float32', shape: ['N', 3, 224, 224] }]);
  assert.deepEqual(image.outputs, [{ name: 'logits', dtype: 'float32', shape: ['N', 1000] }]);
  const text = { dtype: 'int64', shape: ['N', 'sequence'] };
  const [ids, mask, segments] = ['input_ids', 'attention_mask', 'token_type_ids'].map((name) => ({ name, ...text }));
  assert.deepEqual(summarise(architecture('bert-base')).inputs, [ids, mask, segments]);
  assert.deepEqual(summarise(architecture('roberta-base')).inputs, [ids, mask]);
  assert.deepEqual(summarise(architecture('roberta-tiny')).inputs, [ids, mask, segments]);
  assert.deepEqual(summarise(architecture('bert-small')).outputs[0]?.shape, ['N', 2]);
});

test('every cut separates its network, and the study cuts where it says', () => {
  for (const network of ARCHITECTURES) {
    const { model } = network.build(randomWeights(0));
    for (const cut of network.cuts) {
      assert.ok(separates(model, cut), `${network.name} is not cut in two at ${cut.join(', ')}`);
    }
    assert.ok(!separates(model, []));
    for (const [tensor, bias] of network.cuts) if (bias) assert.ok(!separates(model, [tensor as string]));
  }
  assert.deepEqual(architecture('wide_resnet101_2').studyCut, ['layer3.16']);
  assert.deepEqual(architecture('resnext101_64x4d').studyCut, ['layer3.16']);
  assert.deepEqual(architecture('bert-base').studyCut, ['embeddings', 'attention_bias']);
  assert.deepEqual(architecture('roberta-base').studyCut, ['embeddings', 'attention_bias']);
  for (const { studyCut, cuts, name } of ARCHITECTURES) {
    if (studyCut)
      assert.ok(
        cuts.some((cut) => cut.join() === studyCut.join()),
        name,
      );
  }
  // 3 + 4 + 23 + 3 blocks, and the embeddings with twelve layers.
  assert.equal(architecture('wide_resnet101_2').cuts.length, 33);
  assert.equal(architecture('bert-base').cuts.length, 13);
});

test('weights are the same for a seed and a name, and others for other ones', () => {
  const first = (name: string, seed: number, tensor: string) => {
    const { model } = architecture(name).build(randomWeights(seed));
    const data = model.graph.initializers.find((i) => i.name === tensor)?.data;
    assert.ok(data?.kind === 'raw');
    return Buffer.from(data.bytes.buffer, data.bytes.byteOffset, data.bytes.byteLength);
  };
  const one = first('wide_resnet50_2', 1, 'layer1.1.conv1.weight');
  assert.ok(one.equals(first('wide_resnet50_2', 1, 'layer1.1.conv1.weight')));
  assert.ok(!one.equals(first('wide_resnet50_2', 2, 'layer1.1.conv1.weight')));
  assert.ok(!one.equals(first('wide_resnet50_2', 1, 'layer1.2.conv1.weight')));
});

test('a network that the zoo does not have is refused with those that it has', () => {
  assert.throws(
    () => architecture('resnet18'),
    (error) =>
      error instanceof TierbedError &&
      error.kind === 'missing' &&
      /resnet18/.test(error.message) &&
      /wide_resnet101_2.*roberta-tiny.*resnet20/.test(error.fix ?? ''),
  );
});

/** Whether the outputs can be reached from no input once these tensors are taken away. */
function separates({ graph }: Model, cut: readonly string[]): boolean {
  const reached = new Set(graph.inputs.map((input) => input.name).filter((name) => !cut.includes(name)));
  for (const node of graph.nodes) {
    if (!node.inputs.some((input) => reached.has(input))) continue;
    for (const output of node.outputs) if (!cut.includes(output)) reached.add(output);
  }
  const made = new Set(graph.nodes.flatMap((node) => node.outputs));
  return cut.every((tensor) => made.has(tensor)) && graph.outputs.every((output) => !reached.has(output.name));
}
