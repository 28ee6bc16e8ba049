import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { GraphBuilder } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';
import { elementCount } from '../../../onnx/tensor.js';
import { blocksOf, parsePattern } from '../../../operators/prune/pattern.js';
import { kthSmallest, lowestOfAll } from '../../../operators/prune/select.js';
import { Unstructured } from '../../../operators/prune/unstructured.js';
import { layerWeights, weightArrays } from '../../../operators/prune/weights.js';

/** Layers of each type, their weights random. */
function layers(): Model {
  const g = new GraphBuilder({ name: 'layers', opset: 18 });
  const random = new Random(1);
  const weight = (name: string, shape: readonly number[], scale = 1) => {
    const own = random.fork(name);
    return g.weight(name, shape, () => own.fillNormal(new Float32Array(elementCount(shape)), 0, scale));
  };
  const x = g.input('x', 'float32', ['N', 4, 6, 6]);
  const conv = g.node('Conv', [x, weight('conv', [8, 4, 3, 3]), weight('conv.bias', [8])]);
  const up = g.node('ConvTranspose', [conv, weight('up', [8, 6, 2, 2], 0.1)]);
  const flat = g.node('Flatten', [g.node('GlobalAveragePool', [up])]);
  const gemm = g.node('Gemm', [flat, weight('gemm', [12, 6])], { transB: 1 });
  g.output(g.node('MatMul', [gemm, weight('matmul', [12, 5])]), 'float32');
  return g.build();
}

const names = new Set(['conv', 'up', 'gemm', 'matmul']);
const zerosOf = (values: Float32Array) => values.reduce((count, value) => count + (value === 0 ? 1 : 0), 0);

function pruned(pattern: string, scope: 'global' | 'layer', sparsity: number, mostOfLayer = 0.98) {
  const model = layers();
  const arrays = weightArrays(model, names);
  const method = new Unstructured(layerWeights(model), {
    ...{ score: 'magnitude', pattern: parsePattern(pattern), scope, mostOfLayer },
  });
  method.advance(sparsity, arrays);
  method.zero(arrays);
  return arrays;
}

test('weights of layers are known as outputs by inputs, biases not at all', () => {
  const found = layerWeights(layers()).map(({ name, outputs, inputs, places }) => [name, outputs, inputs, places]);
  assert.deepEqual(found, [
    ['conv', 8, 4, 9],
    ['up', 6, 8, 4],
    ['gemm', 12, 6, 1],
    ['matmul', 5, 12, 1],
  ]);
});

test('by layer, each loses the same share, and the smallest of it', () => {
  const before = weightArrays(layers(), names);
  for (const [name, values] of pruned('1x1', 'layer', 0.5)) {
    assert.equal(zerosOf(values), values.length / 2, name);
    const was = before.get(name) as Float32Array;
    const lost = was.filter((_, i) => values[i] === 0).map(Math.abs);
    const kept = was.filter((_, i) => values[i] !== 0).map(Math.abs);
    assert.ok(Math.max(...lost) <= Math.min(...kept), name);
  }
});

test('of all layers together the smallest go, but of none more than it may lose', () => {
  const arrays = pruned('1x1', 'global', 0.6);
  const zeros = [...arrays.values()].map(zerosOf).reduce((a, b) => a + b, 0);
  const all = [...arrays.values()].reduce((sum, { length }) => sum + length, 0);
  assert.equal(zeros, Math.round(0.6 * all));
  const up = arrays.get('up') as Float32Array;
  assert.equal(zerosOf(up), Math.floor(0.98 * up.length), 'the layer of small weights lost as much as it may');
  const gentle = pruned('1x1', 'global', 0.6, 0.7);
  assert.equal(zerosOf(gentle.get('up') as Float32Array), Math.floor(0.7 * up.length));
  assert.equal(
    [...gentle.values()].map(zerosOf).reduce((a, b) => a + b, 0),
    Math.round(0.6 * all),
  );
});

for (const [pattern, rows] of [
  ['2x1', 2],
  ['4x1', 4],
] as const) {
  test(`${pattern}: consecutive outputs of one input and one place of the kernel go together`, () => {
    const arrays = pruned(pattern, 'layer', 0.5);
    for (const weight of layerWeights(layers())) {
      const values = arrays.get(weight.name) as Float32Array;
      const blocks = blocksOf(weight, rows, 1);
      const states = Array.from({ length: blocks.count }, () => new Set<boolean>());
      blocks.each((element, block) => states[block]?.add(values[element] === 0));
      assert.ok(
        states.every((state) => state.size === 1),
        weight.name,
      );
      const share = zerosOf(values) / values.length;
      assert.ok(Math.abs(share - 0.5) < 0.11, `${weight.name}: ${share}`);
    }
    // Outputs 0 and 1 of input 2, in the middle of the kernel.
    const conv = arrays.get('conv') as Float32Array;
    const at = (output: number) => conv[(output * 4 + 2) * 9 + 4] === 0;
    assert.equal(at(0), at(1));
  });
}

test('2:4 leaves two of each four consecutive inputs, the largest', () => {
  const before = weightArrays(layers(), names).get('matmul') as Float32Array;
  const after = pruned('2:4', 'layer', 0.5).get('matmul') as Float32Array;
  for (let output = 0; output < 5; output++) {
    for (let first = 0; first < 12; first += 4) {
      const places = [0, 1, 2, 3].map((i) => (first + i) * 5 + output);
      const kept = places.filter((place) => after[place] !== 0);
      const largest = places.toSorted((a, b) => Math.abs(before[b] as number) - Math.abs(before[a] as number));
      assert.deepEqual(
        kept,
        largest.slice(0, 2).toSorted((a, b) => a - b),
      );
    }
  }
});

test('SNIP with momentum scores by weight and gradient, and forgets a tenth each step', () => {
  const model = layers();
  const arrays = weightArrays(model, names);
  const [matmul] = layerWeights(model).filter(({ name }) => name === 'matmul');
  const method = new Unstructured([matmul as NonNullable<typeof matmul>], {
    ...{ score: 'snip-momentum', pattern: parsePattern('1x1'), scope: 'global', mostOfLayer: 1 },
  });
  const values = arrays.get('matmul') as Float32Array;
  const gradient = Float32Array.from(values, (_, i) => (i < 30 ? 0.001 : 1));
  method.observe(arrays, new Map([['matmul', gradient]]));
  const once = Float32Array.from(method.state['score/matmul'] as Float32Array);
  assert.ok(Math.abs((once[40] as number) - Math.abs(values[40] as number)) < 1e-6);
  method.observe(arrays, new Map([['matmul', gradient]]));
  assert.ok(
    Math.abs(((method.state['score/matmul'] as Float32Array)[40] as number) - 1.9 * (once[40] as number)) < 1e-5,
  );
  method.advance(0.5, arrays);
  method.zero(arrays);
  const lost = values.slice(0, 30);
  assert.ok(zerosOf(lost) > 25, 'those without an effect on the loss went, however large');
});

test('what has gone stays gone, though it grew since', () => {
  const model = layers();
  const arrays = weightArrays(model, names);
  const method = new Unstructured(layerWeights(model), {
    ...{ score: 'magnitude', pattern: parsePattern('1x1'), scope: 'global', mostOfLayer: 1 },
  });
  method.advance(0.2, arrays);
  method.zero(arrays);
  const gone = [...(arrays.get('conv') as Float32Array)].map((value) => value === 0);
  for (const values of arrays.values())
    for (let i = 0; i < values.length; i++) values[i] = values[i] === 0 ? 9 : (values[i] as number);
  method.advance(0.3, arrays);
  method.zero(arrays);
  const values = arrays.get('conv') as Float32Array;
  assert.ok(gone.every((was, i) => !was || values[i] === 0));
  const all = [...arrays.values()];
  const wanted = Math.round(0.3 * all.reduce((sum, { length }) => sum + length, 0));
  assert.equal(
    all.map(zerosOf).reduce((a, b) => a + b, 0),
    wanted,
    'what has gone counts, and no more goes',
  );
});

test('the lowest of lists are found as by sorting', () => {
  const random = new Random(3);
  for (let round = 0; round < 200; round++) {
    const values = Float32Array.from({ length: 1 + random.integer(40) }, () => random.integer(12));
    const k = random.integer(values.length);
    assert.equal(kthSmallest(values.slice(), k), values.toSorted()[k]);
    const other = Float32Array.from({ length: 1 + random.integer(40) }, () => random.integer(12));
    const count = random.integer(values.length + other.length + 1);
    const marks = lowestOfAll(
      [values, other].map((scores) => ({ scores, most: scores.length })),
      count,
    );
    const marked = [values, other].flatMap((scores, i) => [...scores].filter((_, k2) => marks[i]?.[k2] === 1));
    assert.deepEqual(
      marked.toSorted((a, b) => a - b),
      [...values, ...other].toSorted((a, b) => a - b).slice(0, count),
    );
  }
});

test('of equal scores no more go than are asked for, and no layer loses more than it may', () => {
  const random = new Random(4);
  for (let round = 0; round < 300; round++) {
    const layers = Array.from({ length: 3 }, () => {
      const scores = Float32Array.from({ length: 1 + random.integer(20) }, () => random.integer(1 + (round % 5)));
      return { scores, most: random.integer(scores.length + 1) };
    });
    const count = random.integer(50);
    const marks = lowestOfAll(layers, count);
    const gone = layers.map(({ scores }, i) => [...scores].filter((_, k) => marks[i]?.[k] === 1));
    const kept = layers.map(({ scores }, i) => [...scores].filter((_, k) => marks[i]?.[k] !== 1));
    const may = layers.reduce((sum, { most }) => sum + most, 0);
    assert.equal(gone.flat().length, Math.min(count, may));
    for (const [i, { most }] of layers.entries()) {
      const own = gone[i] as number[];
      assert.ok(own.length <= most);
      assert.ok(Math.max(...own) <= Math.min(...(kept[i] as number[])), 'the lowest of a layer');
      if (own.length < most) assert.ok(Math.max(...gone.flat()) <= Math.min(...(kept[i] as number[])), 'and of all');
    }
  }
});

test('a text that is no pattern is refused', () => {
  for (const text of ['0x1', '4', '4:2', '2:2', 'x', '1 x 1']) {
    assert.throws(() => parsePattern(text), { kind: 'invalid', message: new RegExp(`'${text}' is no pattern`) });
  }
});
