import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { type Loss, trainingGraph } from '../../../onnx/grad/training-graph.js';
import { type DenseTensor, denseTensor, float32Tensor, type NamedTensor } from '../../../onnx/tensor.js';
import { type BertConfig, buildBert } from '../../../workloads/zoo/bert.js';
import { buildResNet, type ResNetConfig } from '../../../workloads/zoo/resnet.js';
import { randomWeights } from '../../../workloads/zoo/weights.js';
import { assertNear, elementsOf, readFixture, type Stored } from './support/fixture.js';
import { checkWholeModel } from './support/whole-model.js';

const RESNET: ResNetConfig = {
  ...{ name: 'resnet', blocks: [1, 1, 2, 1], groups: 1, widthPerGroup: 64 },
  ...{ classes: 5, stem: 8, imageSize: 48 },
};

const BERT: BertConfig = {
  ...{ name: 'bert', family: 'bert', layers: 2, hidden: 16, heads: 2, intermediate: 24, vocabulary: 30 },
  ...{ positions: 12, segments: 2, labels: 3, layerNormEpsilon: 1e-12, padding: 0 },
};

for (const batchNorm of ['batch', 'frozen'] as const) {
  test(`a ResNet, BatchNormalization ${batchNorm}`, async () => {
    const { model } = buildResNet(RESNET, randomWeights(1));
    const { gradients } = await checkWholeModel(model, { batch: 4, batchNorm, weights: 12 });
    assert.ok(gradients.has('conv1.weight') && gradients.has('layer3.1.bn2.bias') && gradients.has('fc.bias'));
  });
}

test('a grouped ResNet', async () => {
  const { model } = buildResNet({ ...RESNET, groups: 4, widthPerGroup: 16 }, randomWeights(2));
  await checkWholeModel(model, { batch: 3, batchNorm: 'batch', weights: 8 });
});

test('a BERT: attention behind a mask, tables by rows', async () => {
  const { model } = buildBert(BERT, randomWeights(3));
  const { gradients } = await checkWholeModel(model, {
    ...{ batch: 3, dims: { sequence: 7 }, weights: 40, inputs: texts(3, 7, BERT.vocabulary) },
  });
  const words = gradients.get('bert.embeddings.word_embeddings.weight') as Float32Array;
  assert.equal(words.length, BERT.vocabulary * BERT.hidden);
});

/** -sum(targets * log softmax(logits)) / batch */
const crossEntropy: Loss = ({ builder, batch, shapeOf }) => {
  const targets = builder.input('targets', 'float32', shapeOf('logits'));
  const product = builder.node('Mul', [builder.node('LogSoftmax', ['logits']), targets]);
  return builder.node('Mul', [builder.node('ReduceSum', [product], { keepdims: 0 }), builder.float32(-1 / batch)]);
};

test("a BERT's loss and gradients are PyTorch's", async () => {
  const fixture = readFixture<Step>('bert.json.gz');
  const { model } = buildBert(BERT, ({ name }) => {
    return () => elementsOf(fixture.weights[name] as Stored);
  });
  const inputs = Object.entries(fixture.inputs).map(([name, stored]) => ({ name, tensor: tensorOf(stored) }));
  const run = await checkWholeModel(model, {
    ...{ batch: 3, dims: { sequence: 7 }, weights: 4, inputs, loss: crossEntropy },
  });
  assert.ok(Math.abs(run.loss - fixture.loss) < 1e-5, `the loss is ${run.loss}, in PyTorch ${fixture.loss}`);
  assert.equal(run.gradients.size, Object.keys(fixture.gradients).length);
  const shapes = new Map(model.graph.initializers.map(({ name, dims }) => [name, dims]));
  for (const [name, stored] of Object.entries(fixture.gradients)) {
    const isTurned = /(dense|query|key|value)\.weight$/.test(name) && !name.includes('pooler');
    const gradient = run.gradients.get(name) as Float32Array;
    assertNear(`the gradient by ${name}`, isTurned ? turned(gradient, shapes.get(name) ?? []) : gradient, stored);
  }
});

/** A training step in PyTorch: bench/peers/grad_bert.py. */
interface Step {
  readonly inputs: Readonly<Record<string, Stored>>;
  readonly weights: Readonly<Record<string, Stored>>;
  readonly loss: number;
  readonly gradients: Readonly<Record<string, Stored>>;
}

function tensorOf(stored: Stored): DenseTensor {
  const values = elementsOf(stored);
  if (stored.type !== 'int64') return float32Tensor(stored.shape, values);
  const integers = BigInt64Array.from(values, (value) => BigInt(value));
  return denseTensor('int64', stored.shape, new Uint8Array(integers.buffer));
}

/** The transpose: linear layers are stored the other way round. */
function turned(values: Float32Array, [rows = 0, columns = 0]: readonly number[]): Float32Array {
  return values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)] as number);
}

test('a RoBERTa: positions counted from the padding', async () => {
  const config: BertConfig = { ...BERT, family: 'roberta', segments: 1, padding: 1, layerNormEpsilon: 1e-5 };
  const { model } = buildBert(config, randomWeights(4));
  const { mask, ids } = { mask: 'attention_mask', ids: 'input_ids' };
  const given = texts(2, 6, BERT.vocabulary).filter(({ name }) => name === mask || name === ids);
  await checkWholeModel(model, { batch: 2, dims: { sequence: 6 }, weights: 40, inputs: given });
});

test('the graph of a BERT has one Gelu a layer, and no table of zeros', async () => {
  const { model } = buildBert(BERT, randomWeights(3));
  const { model: graph, gradients } = await trainingGraph(model, {
    ...{ batch: 2, dims: { sequence: 5 }, batchNorm: 'frozen' },
    weights: ['bert.embeddings.word_embeddings.weight', 'classifier.weight'],
    loss: ({ builder }) => builder.node('ReduceSum', ['logits'], { keepdims: 0 }),
  });
  assert.equal(graph.graph.nodes.filter(({ opType }) => opType === 'Gelu').length, BERT.layers);
  assert.equal(gradients.get('bert.embeddings.word_embeddings.weight')?.kind, 'rows');
  assert.ok(!graph.graph.nodes.some(({ opType }) => opType === 'ScatterElements'));
});

/** Tokens of texts of different lengths, the rest being padding. */
function texts(count: number, length: number, vocabulary: number): NamedTensor[] {
  const random = new Random(5);
  const sizes = Array.from({ length: count }, (_, i) => length - i);
  const tensor = (name: string, at: (item: number, place: number) => number): NamedTensor => {
    const values = Array.from({ length: count * length }, (_, i) => BigInt(at(Math.floor(i / length), i % length)));
    return { name, tensor: denseTensor('int64', [count, length], new Uint8Array(BigInt64Array.from(values).buffer)) };
  };
  const isToken = (item: number, place: number) => place < (sizes[item] as number);
  return [
    tensor('input_ids', (item, place) => (isToken(item, place) ? 2 + random.integer(vocabulary - 2) : 1)),
    tensor('attention_mask', (item, place) => (isToken(item, place) ? 1 : 0)),
    tensor('token_type_ids', (_, place) => (place > length / 2 ? 1 : 0)),
  ];
}
