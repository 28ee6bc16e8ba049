import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TierbedError } from '../../base/errors.js';
import { Random } from '../../base/random.js';
import { type Float32Entry, writeSafetensors } from '../../onnx/safetensors.js';
import { type BertConfig, buildBert } from '../../workloads/zoo/bert.js';
import type { Network, Parameter } from '../../workloads/zoo/network.js';
import { buildResNet, type ResNetConfig } from '../../workloads/zoo/resnet.js';
import { noWeights, safetensorsWeights } from '../../workloads/zoo/weights.js';

const folder = mkdtempSync(join(tmpdir(), 'tierbed-zoo-weights-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, 'model.safetensors');

const RESNET: ResNetConfig = {
  name: 'small',
  blocks: [1],
  groups: 1,
  widthPerGroup: 64,
  classes: 3,
  stem: 4,
  imageSize: 16,
};
const BERT: BertConfig = {
  name: 'small',
  family: 'bert',
  layers: 1,
  hidden: 6,
  heads: 2,
  intermediate: 10,
  vocabulary: 12,
  positions: 8,
  segments: 2,
  labels: 2,
  layerNormEpsilon: 1e-12,
  padding: 0,
};
const ROBERTA: BertConfig = { ...BERT, family: 'roberta', segments: 1, padding: 1 };

const elements = (shape: readonly number[]) => shape.reduce((n, d) => n * d, 1);
const valuesOf = (name: string, shape: readonly number[]) =>
  new Random(77).fork(name).fillUniform(new Float32Array(elements(shape)));

/** Tensors as a checkpoint of these parameters has them, each under the name that `rename` gives it. */
function checkpoint(
  parameters: readonly Parameter[],
  rename: (name: string) => string = (name) => name,
): Float32Entry[] {
  return parameters.map(({ name, shape }) => ({ name: rename(name), shape, values: () => valuesOf(name, shape) }));
}

/** Saves tensors, builds the network from them, and checks that each initializer has the elements of its parameter. */
function takes(build: (weights: Parameters<typeof buildBert>[1]) => Network, entries: readonly Float32Entry[]): void {
  writeSafetensors(path, entries);
  const { parameters } = build(noWeights);
  const { model } = build(safetensorsWeights(path, parameters));
  for (const { name, shape } of parameters) {
    const initializer = model.graph.initializers.find((candidate) => candidate.name === name);
    assert.ok(initializer?.data.kind === 'raw', name);
    const straight = valuesOf(name, shape);
    const inEncoder = /encoder\..*(query|key|value|dense)\.weight$/.test(name);
    assert.deepEqual(initializer.dims, inEncoder ? shape.toReversed() : shape, name);
    const want = inEncoder ? transposed([...straight], shape as [number, number]) : [...straight];
    assert.deepEqual(floats(initializer.data.bytes), want, name);
  }
}

const floats = (bytes: Uint8Array) => [...new Float32Array(bytes.slice().buffer)];
const transposed = (values: readonly number[], [rows, columns]: [number, number]) =>
  Array.from({ length: rows * columns }, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]);

function refused(
  build: (weights: Parameters<typeof buildBert>[1]) => Network,
  entries: readonly Float32Entry[],
): string {
  writeSafetensors(path, entries);
  let message = '';
  assert.throws(
    () => safetensorsWeights(path, build(noWeights).parameters),
    (error) => {
      assert.ok(error instanceof TierbedError && error.kind === 'invalid', String(error));
      message = error.message;
      return true;
    },
  );
  assert.ok(message.includes(path));
  return message;
}

const resNet = (weights: Parameters<typeof buildResNet>[1]) => buildResNet(RESNET, weights);
const bert = (weights: Parameters<typeof buildBert>[1]) => buildBert(BERT, weights);
const roberta = (weights: Parameters<typeof buildBert>[1]) => buildBert(ROBERTA, weights);

test('weights of the names that torchvision and Transformers use arrive where they belong', () => {
  for (const build of [resNet, bert, roberta]) takes(build, checkpoint(build(noWeights).parameters));
});

test('variants of the names, and tensors that inference does not need, are understood', () => {
  const extra = (name: string): Float32Entry => ({ name, shape: [1], values: () => new Float32Array(1) });
  const ofResNet = resNet(noWeights).parameters;
  takes(resNet, [...checkpoint(ofResNet, (n) => `module.${n}`), extra('module.bn1.num_batches_tracked')]);
  takes(resNet, [...checkpoint(ofResNet, (n) => `model.${n}`), extra('bn1.num_batches_tracked')]);
  const ofBert = bert(noWeights).parameters;
  takes(bert, [...checkpoint(ofBert, (n) => n.replace(/^bert\./, '')), extra('embeddings.position_ids')]);
  takes(
    bert,
    checkpoint(ofBert, (n) =>
      n.replace(/LayerNorm\.weight$/, 'LayerNorm.gamma').replace(/LayerNorm\.bias$/, 'LayerNorm.beta'),
    ),
  );
  const ofRoberta = roberta(noWeights).parameters;
  takes(roberta, [...checkpoint(ofRoberta, (n) => n.replace(/^roberta\./, '')), extra('pooler.dense.bias')]);
  takes(roberta, [
    ...checkpoint(ofRoberta),
    extra('roberta.pooler.dense.weight'),
    extra('roberta.embeddings.position_ids'),
  ]);
});

test('what does not fit is refused, and every tensor at fault is named', () => {
  const good = checkpoint(bert(noWeights).parameters);
  const without = good.filter(({ name }) => name !== 'classifier.weight' && name !== 'bert.pooler.dense.bias');
  const lacking = refused(bert, without);
  assert.match(lacking, /missing: classifier\.weight/);
  assert.match(lacking, /missing: bert\.pooler\.dense\.bias/);
  assert.doesNotMatch(lacking, /unexpected|classifier\.bias/);

  const stranger = { name: 'cls.predictions.bias', shape: [1], values: () => new Float32Array(1) };
  assert.match(refused(bert, [...good, stranger]), /unexpected: cls\.predictions\.bias/);

  const other = good.map((entry) =>
    entry.name === 'classifier.weight' ? { ...entry, shape: [3, 6], values: () => new Float32Array(18) } : entry,
  );
  const misshapen = refused(bert, other);
  assert.match(misshapen, /shape of classifier\.weight: \[3, 6\], not \[2, 6\]/);
  assert.doesNotMatch(misshapen, /missing/);

  const twin = { name: 'module.classifier.bias', shape: [2], values: () => new Float32Array(2) };
  assert.match(
    refused(bert, [...good, twin]),
    /twice: classifier\.bias, as classifier\.bias and as module\.classifier\.bias/,
  );
});
