import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { GraphBuilder } from '../../../onnx/build.js';
import { initializerElements } from '../../../onnx/initializer.js';
import type { Model } from '../../../onnx/model.js';
import { elementCount } from '../../../onnx/tensor.js';
import { pruningGroups } from '../../../operators/prune/groups.js';
import {
  filledUnits,
  Structured,
  type StructuredOptions,
  type UnitWeight,
} from '../../../operators/prune/structured.js';
import { weightArrays } from '../../../operators/prune/weights.js';

const OPTIONS: StructuredOptions = { score: 'l2', scope: 'layer', atLeast: 1, multipleOf: 1 };

/** Two hidden layers of 12 and 8 neurons; `scale` says how large each neuron of the first is. */
function twoLayers(scale: (neuron: number) => number): Model {
  const g = new GraphBuilder({ name: 'two', opset: 18 });
  const random = new Random(2);
  const weight = (name: string, shape: readonly number[], by: (element: number) => number = () => 1) => {
    const own = random.fork(name);
    return g.weight(name, shape, () =>
      Float32Array.from({ length: elementCount(shape) }, (_, i) => own.normal() * by(i)),
    );
  };
  const x = g.input('x', 'float32', ['N', 5]);
  const a = g.node('Relu', [g.node('Gemm', [x, weight('a', [5, 12], (i) => scale(i % 12)), weight('a.bias', [12])])]);
  const b = g.node('Relu', [
    g.node('Gemm', [a, weight('b', [12, 8], (i) => scale(Math.floor(i / 8))), weight('b.bias', [8])]),
  ]);
  g.output(g.node('Gemm', [b, weight('c', [8, 3])]), 'float32');
  return g.build();
}

async function method(model: Model, options: Partial<StructuredOptions>) {
  const grouping = await pruningGroups(model);
  const weights = new Map<string, UnitWeight>(
    model.graph.initializers.map((each) => [each.name, { dims: each.dims, bnScale: false }]),
  );
  const structured = new Structured(grouping.groups, weights, { ...OPTIONS, ...options });
  const arrays = weightArrays(model, new Set(weights.keys()));
  /** By group, the places of the units that have gone. */
  const gone = () =>
    grouping.groups.map(({ units }) => units.flatMap(({ id }, u) => (structured.gone.has(id) ? [u] : [])));
  return { structured, arrays, gone };
}

for (const score of ['l1', 'l2'] as const) {
  test(`${score}: the units whose weights are smallest go, in and out`, async () => {
    const { structured, arrays, gone } = await method(
      twoLayers((neuron) => (neuron % 3 === 0 ? 0.01 : 1)),
      { score },
    );
    structured.advance(1 / 3, arrays);
    assert.deepEqual(gone()[0], [0, 3, 6, 9]);
    structured.zero(arrays);
    const [a, b] = [arrays.get('a'), arrays.get('b')] as [Float32Array, Float32Array];
    for (let input = 0; input < 5; input++) assert.equal(a[12 * input + 3], 0);
    for (let output = 0; output < 8; output++) assert.equal(b[8 * 3 + output], 0);
    assert.equal((arrays.get('a.bias') as Float32Array)[3], 0);
    assert.notEqual(a[1], 0);
  });
}

test('the same share of each group goes by layer; of all together, those that are small for their group', async () => {
  const local = await method(
    twoLayers((neuron) => neuron + 1),
    {},
  );
  local.structured.advance(0.5, local.arrays);
  assert.deepEqual(
    local.gone().map(({ length }) => length),
    [6, 4],
  );
  const global = await method(
    twoLayers((neuron) => (neuron < 9 ? 0.01 : 1)),
    { scope: 'global' },
  );
  global.structured.advance(0.45, global.arrays);
  assert.deepEqual(global.gone()[0], [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  assert.deepEqual(global.gone()[1], []);
});

test('as many stay as must, and what stays is a multiple', async () => {
  const floored = await method(
    twoLayers((neuron) => (neuron < 11 ? 0.001 : 1)),
    { scope: 'global', atLeast: 4 },
  );
  floored.structured.advance(0.5, floored.arrays);
  assert.deepEqual(
    floored.gone().map(({ length }) => length),
    [8, 2],
  );
  const multiple = await method(
    twoLayers((neuron) => neuron + 1),
    { multipleOf: 4 },
  );
  multiple.structured.advance(0.5, multiple.arrays);
  assert.deepEqual(
    multiple.gone().map(({ length }) => length),
    [4, 4],
    '8 of 12 stay, and 4 of 8',
  );
  multiple.structured.advance(0.99, multiple.arrays);
  assert.deepEqual(
    multiple.gone().map(({ length }) => length),
    [8, 4],
  );
});

test('unless told, blocks of eight channels are filled, but not of heads, of small groups, and of what is less', () => {
  const group = (kind: 'channels' | 'heads', count: number, size = 1) => ({
    ...{ kind, units: Array.from({ length: count }, (_, id) => ({ id, indices: [new Array<number>(size).fill(id)] })) },
  });
  const left = (of: ReturnType<typeof group>, wanted: number) => filledUnits(of, wanted, { multipleOf: undefined });
  assert.equal(left(group('channels', 64), 45), 48);
  assert.equal(left(group('channels', 64), 43), 40);
  assert.equal(left(group('channels', 64), 3), 3);
  assert.equal(left(group('channels', 12), 7), 7);
  assert.equal(left(group('heads', 16), 9), 9);
  assert.equal(left(group('channels', 32, 4), 9), 10, 'units of four channels');
  assert.equal(filledUnits(group('channels', 20), 19, { multipleOf: 8 }), 16);
});

test('taylor: the units whose removal the loss would feel least go, however large they are', async () => {
  const model = twoLayers((neuron) => neuron + 1);
  const { structured, arrays, gone } = await method(model, { score: 'taylor' });
  const gradients = new Map(
    model.graph.initializers.map((each) => [each.name, new Float32Array(initializerElements(each)).fill(1)]),
  );
  // The loss does not feel the last three neurons of the first layer.
  const [a, b] = [gradients.get('a'), gradients.get('b')] as [Float32Array, Float32Array];
  for (const neuron of [9, 10, 11]) {
    for (let input = 0; input < 5; input++) a[12 * input + neuron] = 0;
    b.fill(0, 8 * neuron, 8 * neuron + 8);
  }
  structured.observe(arrays, gradients);
  structured.advance(0.25, arrays);
  assert.deepEqual(gone()[0], [9, 10, 11]);
});

test('decisions are not taken back', async () => {
  const { structured, arrays, gone } = await method(
    twoLayers((neuron) => neuron + 1),
    {},
  );
  structured.advance(0.25, arrays);
  const first = gone()[0] as number[];
  for (const values of arrays.values()) values.reverse();
  structured.advance(0.5, arrays);
  assert.ok(first.every((unit) => gone()[0]?.includes(unit)));
  assert.equal(gone()[0]?.length, 6);
});
