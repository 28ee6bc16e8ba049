import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TierbedError } from '../../base/errors.js';
import type { Model } from '../../onnx/model.js';
import { ARCHITECTURES, architecture, summarise } from '../../workloads/zoo/architectures.js';
import { randomWeights } from '../../workloads/zoo/weights.js';

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
};

test('the eight networks have the parameters of those they are named after', () => {
  const counted = Object.fromEntries(ARCHITECTURES.map((a) => [a.name, summarise(a).parameters]));
  assert.deepEqual(counted, PARAMETERS);
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
      /wide_resnet101_2.*roberta-tiny/.test(error.fix ?? ''),
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
