import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { GraphBuilder, type Value } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';
import { denseTensor, elementCount, float32Tensor } from '../../../onnx/tensor.js';
import { type Grouping, pruningGroups } from '../../../operators/prune/groups.js';
import { checkRemoval, someUnits } from './removal.js';

/** What a graph between two layers is made with. */
interface Between {
  readonly g: GraphBuilder;
  weight(name: string, shape: readonly number[]): Value;
}

const CHANNELS = 8;

/** x [N, 3, 6, 6] -> a convolution to 8 channels -> what is between -> a convolution and the mean of its maps. */
function convolutions(opset: number, between: (x: Value, made: Between) => Value, channels = CHANNELS): Model {
  const g = new GraphBuilder({ name: 'between', opset });
  const random = new Random(7);
  const weight = (name: string, shape: readonly number[]): Value => {
    const own = random.fork(name);
    return g.initializer(name, float32Tensor(shape, own.fillUniform(new Float32Array(elementCount(shape)), 0.2, 1)));
  };
  const x = g.input('x', 'float32', ['N', 3, 6, 6]);
  const first = g.node('Conv', [x, weight('first', [CHANNELS, 3, 3, 3])], { pads: [1, 1, 1, 1] });
  const middle = between(first, { g, weight });
  const last = g.node('Conv', [middle, weight('last', [4, channels, 1, 1])]);
  g.output(g.node('GlobalAveragePool', [last], {}, 'y'), 'float32');
  return g.build();
}

const int64 = (values: readonly number[]) =>
  denseTensor('int64', [values.length], new Uint8Array(BigInt64Array.from(values, BigInt).buffer));

interface Case {
  readonly opset?: number;
  readonly channels?: number;
  /** Units of the first convolution's channels. */
  readonly units: number;
  between(x: Value, made: Between): Value;
}

const CASES: Readonly<Record<string, Case>> = {
  'GroupNormalization with a scale for each channel: its groups go whole': {
    ...{ opset: 21, units: 4 },
    between: (x, { g, weight }) =>
      g.node('GroupNormalization', [x, weight('s', [8]), weight('b', [8])], { num_groups: 4 }),
  },
  'GroupNormalization with a scale for each group': {
    ...{ opset: 18, units: 4 },
    between: (x, { g, weight }) =>
      g.node('GroupNormalization', [x, weight('s', [4]), weight('b', [4])], { num_groups: 4 }),
  },
  InstanceNormalization: {
    units: 8,
    between: (x, { g, weight }) => g.node('InstanceNormalization', [x, weight('s', [8]), weight('b', [8])]),
  },
  'Gather of constant indices, in another order and from the end': {
    units: 8,
    between: (x, { g }) => g.node('Gather', [x, g.int64([7, -8, 3, 1, 2, 5, 4, 6])], { axis: 1 }),
  },
  'Gather that takes indices twice and leaves others': {
    units: 8,
    between: (x, { g }) => g.node('Gather', [x, g.int64([0, 0, 1, 2, 1, 2, 2, 0])], { axis: 1 }),
  },
  'Resize to sizes': {
    units: 8,
    between: (x, { g }) => g.node('Resize', [x, undefined, undefined, g.int64([2, 8, 12, 12])]),
  },
  'Resize by scales': {
    units: 8,
    between: (x, { g }) => g.node('Resize', [x, undefined, g.float32([1, 1, 2, 2])]),
  },
  'Tile of pictures': { units: 8, between: (x, { g }) => g.node('Tile', [x, g.int64([1, 1, 2, 1])]) },
  'Expand of what has one place': {
    units: 8,
    between: (x, { g }) => g.node('Expand', [g.node('GlobalAveragePool', [x]), g.int64([2, 8, 4, 4])]),
  },
  'Pad with its pads as an attribute': {
    ...{ opset: 10, channels: 11, units: 8 },
    between: (x, { g }) => g.node('Pad', [x], { pads: [0, 1, 0, 0, 0, 2, 0, 0] }),
  },
  'Pad along named axes': {
    ...{ channels: 11, units: 8 },
    between: (x, { g }) => g.node('Pad', [x, g.int64([1, 2]), undefined, g.int64([1])]),
  },
  'Split with its sizes as an attribute, and together again the other way round': {
    ...{ opset: 11, units: 8 },
    between: (x, { g }) => {
      const [a, b] = g.nodeWithOutputs('Split', [x], 2, { axis: 1, split: [3, 5] }) as [Value, Value];
      return g.node('Concat', [b, a], { axis: 1 });
    },
  },
  'Split into a number of parts': {
    units: 8,
    between: (x, { g }) => {
      const [a, b] = g.nodeWithOutputs('Split', [x], 2, { axis: 1, num_outputs: 2 }) as [Value, Value];
      return g.node('Concat', [b, g.node('Relu', [a])], { axis: 1 });
    },
  },
  'the batch as a number of the graph, as exporters write it': {
    units: 8,
    between: (x, { g }) => {
      const shape = g.node('Shape', [x]);
      const batch = g.node('Gather', [shape, g.int64([0])], { axis: 0 });
      const target = g.node('Concat', [batch, g.int64([8]), g.int64([-1])], { axis: 0 });
      const flat = g.node('Reshape', [x, target]);
      return g.node('Unsqueeze', [flat, g.int64([3])]);
    },
  },
  'all sizes as numbers of the graph, channels among them': {
    units: 8,
    between: (x, { g }) => {
      const shape = g.node('Shape', [x]);
      const pick = (i: number) => g.node('Slice', [shape, g.int64([i]), g.int64([i + 1]), g.int64([0])]);
      const area = g.node('Mul', [pick(2), pick(3)]);
      const flat = g.node('Reshape', [x, g.node('Concat', [pick(0), pick(1), area], { axis: 0 })]);
      return g.node('Unsqueeze', [flat, g.int64([3])]);
    },
  },
  'channels last and back': {
    units: 8,
    between: (x, { g, weight }) => {
      const last = g.node('Transpose', [x], { perm: [0, 2, 3, 1] });
      const mixed = g.node('Add', [g.node('MatMul', [last, weight('m', [8, 8])]), weight('mb', [8])]);
      return g.node('Transpose', [mixed], { perm: [0, 3, 1, 2] });
    },
  },
  'a PRelu and a Where of constants': {
    units: 8,
    between: (x, { g, weight }) => {
      const flags = g.initializer('flags', denseTensor('bool', [1, 1, 6, 6], new Uint8Array(36).fill(1)));
      return g.node('Where', [flags, g.node('PRelu', [x, weight('slope', [8, 1, 1])]), weight('other', [1, 8, 1, 1])]);
    },
  },
};

for (const [name, { opset = 18, channels, units, between }] of Object.entries(CASES)) {
  test(name, async () => {
    const model = convolutions(opset, between, channels);
    const grouping = await pruningGroups(model);
    assert.equal(unitsOf(grouping, 'first'), units);
    await checkRemoval(model, grouping, someUnits(grouping, 0.4, 1));
  });
}

/** Units that take channels of a weight, whatever group they are in. */
function unitsOf({ units }: Grouping, tensor: string): number {
  return new Set(units.get(tensor)?.[0]?.filter((unit) => unit >= 0)).size;
}

const STAYS: Readonly<Record<string, { readonly reason: RegExp; between(x: Value, made: Between): Value }>> = {
  'a Softmax over channels': {
    reason: /shares out over them/,
    between: (x, { g }) => g.node('Softmax', [x], { axis: 1 }),
  },
  'a Slice in steps of two': {
    reason: /takes a part of them/,
    between: (x, { g }) => {
      const half = g.node('Slice', [x, g.int64([0]), g.int64([8]), g.int64([1]), g.int64([2])]);
      return g.node('Concat', [half, half], { axis: 1 });
    },
  },
  'channels that are counted': {
    reason: /counts them/,
    between: (x, { g }) => {
      const count = g.node('Cast', [g.node('Shape', [x], { start: 1, end: 2 })], { to: 1 });
      return g.node('Div', [x, count]);
    },
  },
  'a pad of their own': {
    reason: /pads them with their own/,
    between: (x, { g }) => {
      const padded = g.node('Pad', [x, g.int64([0, 1, 0, 0, 0, 0, 0, 0])], { mode: 'reflect' });
      return g.node('Slice', [padded, g.int64([1]), g.int64([9]), g.int64([1])]);
    },
  },
  'a branch of If that takes them': {
    reason: /is of a type that is not followed/,
    between: (x, { g }) => {
      const flag = g.initializer('flag', denseTensor('bool', [], Uint8Array.of(1)));
      const branch = (name: string, opType: string) => {
        const inner = new GraphBuilder({ name });
        const one = inner.node('Constant', [], { value: float32Tensor([1], Float32Array.of(1)) }, `${name}.one`);
        inner.output(inner.node(opType, [one, one], {}, `${name}.out`), 'float32');
        const graph = inner.buildGraph();
        const nodes = graph.nodes.map((node) =>
          node.opType === opType ? { ...node, inputs: [x, `${name}.one`] } : node,
        );
        return { ...graph, nodes };
      };
      return g.node('If', [flag], { then_branch: branch('then', 'Mul'), else_branch: branch('else', 'Add') });
    },
  },
};

for (const [name, { reason, between }] of Object.entries(STAYS)) {
  test(`${name}: all of them stay, and the reason is told`, async () => {
    const { groups, stays } = await pruningGroups(convolutions(18, between));
    assert.ok(!groups.some(({ axes }) => axes.some(({ tensor, axis }) => tensor === 'first' && axis === 0)));
    const told = stays.filter(({ axes }) => axes.some(({ tensor, axis }) => tensor === 'first' && axis === 0));
    assert.ok(told.length > 0 && told.every((group) => reason.test(group.reason)), JSON.stringify(told));
  });
}

test('a vision transformer whose queries, keys and values come in one piece loses whole heads', async () => {
  const [features, heads, size, tokens] = [12, 3, 4, 5];
  const g = new GraphBuilder({ name: 'vit', opset: 18 });
  const random = new Random(9);
  const weight = (name: string, shape: readonly number[]): Value =>
    g.initializer(
      name,
      float32Tensor(shape, random.fork(name).fillUniform(new Float32Array(elementCount(shape)), -1, 1)),
    );
  const x = g.input('x', 'float32', ['N', tokens, features]);
  const together = g.node('Add', [
    g.node('MatMul', [x, weight('qkv', [features, 3 * heads * size])]),
    weight('qkv.bias', [3 * heads * size]),
  ]);
  const apart = g.node('Reshape', [together, g.int64([0, tokens, 3, heads, size])]);
  const turned = g.node('Transpose', [apart], { perm: [2, 0, 3, 1, 4] });
  const scalar = (i: number) => g.initializer(`index${i}`, denseTensor('int64', [], int64([i]).data));
  const [q, k, v] = [0, 1, 2].map((i) => g.node('Gather', [turned, scalar(i)], { axis: 0 })) as [Value, Value, Value];
  const scores = g.node('MatMul', [q, g.node('Transpose', [k], { perm: [0, 1, 3, 2] })]);
  const context = g.node('MatMul', [g.node('Softmax', [scores], { axis: -1 }), v]);
  const joined = g.node('Reshape', [
    g.node('Transpose', [context], { perm: [0, 2, 1, 3] }),
    g.int64([0, tokens, heads * size]),
  ]);
  g.output(g.node('MatMul', [joined, weight('out', [heads * size, features])], {}, 'y'), 'float32');
  const model = g.build();
  const grouping = await pruningGroups(model);
  const [group] = grouping.groups;
  assert.deepEqual([group?.kind, group?.units.length], ['heads', heads]);
  assert.deepEqual(group?.units[1]?.indices[0], [4, 5, 6, 7, 16, 17, 18, 19, 28, 29, 30, 31]);
  await checkRemoval(model, grouping, someUnits(grouping, 0.5, 2));
});
