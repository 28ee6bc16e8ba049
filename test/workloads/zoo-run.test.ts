import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import * as ort from 'onnxruntime-node';
import { Random } from '../../base/random.js';
import { writeModel } from '../../onnx/write.js';
import { type BertConfig, buildBert } from '../../workloads/zoo/bert.js';
import type { Network, Weights } from '../../workloads/zoo/network.js';
import { buildResNet, type ResNetConfig } from '../../workloads/zoo/resnet.js';
import { randomWeights } from '../../workloads/zoo/weights.js';

const folder = mkdtempSync(join(tmpdir(), 'tierbed-zoo-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const RESNET: ResNetConfig = {
  name: 'small',
  blocks: [2, 1],
  groups: 1,
  widthPerGroup: 128,
  classes: 10,
  stem: 8,
  imageSize: 32,
};
const BERT: BertConfig = {
  name: 'small',
  family: 'bert',
  layers: 2,
  hidden: 16,
  heads: 2,
  intermediate: 32,
  vocabulary: 50,
  positions: 20,
  segments: 2,
  labels: 2,
  layerNormEpsilon: 1e-12,
  padding: 0,
};
const ROBERTA: BertConfig = { ...BERT, family: 'roberta', segments: 1, layerNormEpsilon: 1e-5, padding: 1 };

type Feeds = Record<string, ort.Tensor>;

/** Writes and opens a network; gives a function that runs it and answers with one row of logits an item. */
async function opened({ model }: Network): Promise<(feeds: Feeds) => Promise<number[][]>> {
  const path = join(folder, `${opened.count++}.onnx`);
  await writeModel(model, path);
  const session = await ort.InferenceSession.create(path, { intraOpNumThreads: 1 });
  after(() => session.release());
  return async (feeds) => {
    const logits = (await session.run(feeds)).logits as ort.Tensor;
    const [n, classes] = logits.dims as [number, number];
    const values = [...(logits.data as Float32Array)];
    return Array.from({ length: n }, (_, i) => values.slice(i * classes, (i + 1) * classes));
  };
}
opened.count = 0;

function pictures(n: number, seed: number): Feeds {
  const values = new Random(seed).fillNormal(new Float32Array(n * 3 * 32 * 32));
  return { input: new ort.Tensor('float32', values, [n, 3, 32, 32]) };
}

/** Token ids of several texts, padded to the longest or to a length, with their mask. */
function texts(
  items: readonly (readonly number[])[],
  padding: number,
  options: { length?: number; segments?: boolean },
) {
  const length = options.length ?? Math.max(...items.map((item) => item.length));
  const flat = (value: (item: readonly number[], at: number) => number) =>
    new ort.Tensor(
      'int64',
      BigInt64Array.from(
        items.flatMap((item) => Array.from({ length }, (_, at) => value(item, at))),
        BigInt,
      ),
      [items.length, length],
    );
  const feeds: Feeds = {
    input_ids: flat((item, at) => item[at] ?? padding),
    attention_mask: flat((item, at) => (at < item.length ? 1 : 0)),
  };
  if (options.segments) feeds.token_type_ids = flat((item, at) => (at >= item.length / 2 ? 1 : 0));
  return feeds;
}

function close(actual: readonly number[] | undefined, expected: readonly number[] | undefined, tolerance = 1e-5): void {
  assert.ok(actual && expected && actual.length === expected.length);
  actual.forEach((value, i) => {
    assert.ok(Math.abs(value - (expected[i] as number)) <= tolerance, `${actual} is not ${expected}`);
  });
}

/** Not the same, by more than rounding. */
function differ(actual: readonly number[] | undefined, other: readonly number[] | undefined): void {
  assert.ok(actual && other && actual.length === other.length);
  assert.ok(
    actual.some((value, i) => Math.abs(value - (other[i] as number)) > 1e-3),
    `${actual} is ${other}`,
  );
}

function sane(rows: readonly (readonly number[])[]): void {
  const values = rows.flat();
  assert.ok(
    values.every((v) => Number.isFinite(v) && Math.abs(v) < 100),
    String(values),
  );
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const sd = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length);
  assert.ok(sd > 1e-3, `outputs hardly differ: ${values}`);
}

const FAMILIES: Record<string, (weights: Weights) => Network> = {
  'wide ResNet': (weights) => buildResNet(RESNET, weights),
  ResNeXt: (weights) => buildResNet({ ...RESNET, groups: 4, widthPerGroup: 16 }, weights),
  BERT: (weights) => buildBert(BERT, weights),
  RoBERTa: (weights) => buildBert(ROBERTA, weights),
};

const feedsOf = (family: string, seed: number): Feeds => {
  if (family === 'wide ResNet' || family === 'ResNeXt') return pictures(3, seed);
  const random = new Random(seed);
  const items = [7, 5, 9].map((n) => Array.from({ length: n }, () => 2 + random.integer(48)));
  return texts(items, family === 'BERT' ? 0 : 1, { segments: family === 'BERT' });
};

for (const [family, build] of Object.entries(FAMILIES)) {
  test(`a small ${family} runs, and its random weights depend on the seed alone`, async () => {
    const rows = await (await opened(build(randomWeights(1))))(feedsOf(family, 5));
    assert.equal(rows.length, 3);
    sane(rows);
    assert.deepEqual(await (await opened(build(randomWeights(1))))(feedsOf(family, 5)), rows);
    assert.notDeepEqual(await (await opened(build(randomWeights(2))))(feedsOf(family, 5)), rows);
  });
}

test('activations of a deep network with random weights stay sane', async () => {
  const run = await opened(buildResNet({ ...RESNET, blocks: [3, 4, 23, 3], imageSize: 32 }, randomWeights(3)));
  sane(await run(pictures(2, 1)));
});

test('an item of a batch is answered as it is alone', async () => {
  for (const family of Object.keys(FAMILIES)) {
    const run = await opened((FAMILIES[family] as (weights: Weights) => Network)(randomWeights(4)));
    const feeds = feedsOf(family, 8);
    const together = await run(feeds);
    for (let i = 0; i < 3; i++) {
      const alone = Object.entries(feeds).map(([name, { type, data, dims }]) => {
        const size = data.length / 3;
        const part = (data as Float32Array).slice(i * size, (i + 1) * size);
        return [name, new ort.Tensor(type as 'float32', part, [1, ...dims.slice(1)])];
      });
      close((await run(Object.fromEntries(alone)))[0], together[i]);
    }
  }
});

for (const [family, config] of [
  ['BERT', BERT],
  ['RoBERTa', ROBERTA],
] as const) {
  test(`${family}: padding changes nothing, tokens, their order and segments do`, async () => {
    const run = await opened(buildBert(config, randomWeights(6)));
    const give = async (item: readonly number[], length?: number) => {
      const feeds = texts([item], config.padding, length === undefined ? {} : { length });
      if (config.family === 'bert') {
        const { dims, data } = feeds.input_ids as ort.Tensor;
        feeds.token_type_ids = new ort.Tensor('int64', new BigInt64Array(data.length), dims);
      }
      return (await run(feeds))[0];
    };
    const plain = await give([5, 9, 33]);
    close(await give([5, 9, 33], 18), plain);
    differ(await give([5, 33, 9]), plain);
    differ(await give([5, 9, 34]), plain);
    if (config.family === 'bert') {
      const feeds = texts([[5, 9, 33]], 0, {});
      const segments = (values: bigint[]) => new ort.Tensor('int64', BigInt64Array.from(values), [1, 3]);
      const [other] = await run({ ...feeds, token_type_ids: segments([0n, 1n, 1n]) });
      differ(other, plain);
    }
  });
}

test('RoBERTa counts positions from behind the padding id, wherever padding is', async () => {
  const run = await opened(buildBert(ROBERTA, randomWeights(6)));
  const ids = (values: number[]) => new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length]);
  const [plain] = await run({ input_ids: ids([5, 9, 33]), attention_mask: ids([1, 1, 1]) });
  // A padding token in the middle is masked and takes no position, so the tokens keep theirs.
  const [holed] = await run({ input_ids: ids([5, 1, 9, 1, 33]), attention_mask: ids([1, 0, 1, 0, 1]) });
  close(holed, plain);
});
