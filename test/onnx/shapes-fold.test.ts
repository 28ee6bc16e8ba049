// The values that shape arithmetic is followed with, against the runtime's.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Random } from '../../base/random.js';
import { inferKnown } from '../../onnx/infer.js';
import { draw, draws, type Feed, feedsOf, list, type OneNode, oneNodeModel, runModel } from '../support/one-node.js';

type Dtype = 'int64' | 'int32' | 'float32' | 'bool';

function constant(r: Random, dtype: Dtype, shape: readonly number[], low = -9, high = 9): Feed {
  const count = shape.reduce((a, b) => a * b, 1);
  const value = draws(r, count, dtype === 'bool' ? 0 : low, dtype === 'bool' ? 1 : high);
  return { dtype, shape, constant: true, value: dtype === 'float32' ? value.map((v) => v / 4) : value };
}

/** Two constants that broadcast. */
function pair(r: Random, dtype: Dtype, nonzero = false): [Feed, Feed] {
  const shapes = r.pick<[number[], number[]]>([
    [[4], [4]],
    [[4], []],
    [[], [3]],
    [[2, 3], [3]],
    [
      [2, 1],
      [1, 3],
    ],
  ]);
  const [a, b] = [constant(r, dtype, shapes[0]), constant(r, dtype, shapes[1])];
  return [a, nonzero ? { ...b, value: b.value?.map((v) => v || 1) } : b];
}

const CASES: Readonly<Record<string, (r: Random) => OneNode>> = {
  arithmetic: (r) => ({ op: r.pick(['Add', 'Sub', 'Mul']), inputs: pair(r, r.pick(['int64', 'int32', 'float32'])) }),
  division: (r) => ({ op: 'Div', inputs: pair(r, r.pick(['int64', 'int32', 'float32']), true) }),
  Mod: (r) => {
    const [a, b] = pair(r, 'int64', true);
    return { op: 'Mod', inputs: [a, { ...b, value: b.value?.map(Math.abs) }] };
  },
  extremes: (r) => ({ op: r.pick(['Min', 'Max']), inputs: pair(r, r.pick(['int64', 'int32'])) }),
  comparison: (r) => ({
    op: r.pick(['Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual']),
    inputs: pair(r, r.pick(['int64', 'int32'])),
  }),
  logic: (r) => ({ op: r.pick(['And', 'Or', 'Xor']), inputs: pair(r, 'bool') }),
  Not: (r) => ({ op: 'Not', inputs: [constant(r, 'bool', [4])] }),
  Pow: (r) => ({ op: 'Pow', inputs: [constant(r, 'int64', [4]), constant(r, 'int64', [], 0, 3)] }),
  Floor: (r) => ({ op: r.pick(['Floor', 'Ceil']), inputs: [constant(r, 'float32', [8], -40, 40)] }),
  Round: (r) => ({ op: 'Round', inputs: [constant(r, 'float32', [8], -40, 40)] }),
  signs: (r) => ({ op: r.pick(['Abs', 'Neg', 'Sign']), inputs: [constant(r, r.pick(['int64', 'int32']), [5])] }),
  Sqrt: (r) => ({ op: 'Sqrt', inputs: [constant(r, 'float32', [5], 0, 90)] }),
  Cast: (r) => ({
    op: 'Cast',
    inputs: [constant(r, r.pick(['int64', 'float32', 'int32', 'bool']), [6])],
    attributes: { to: r.pick([1, 6, 7, 9, 11]) },
  }),
  Where: (r) => {
    const [a, b] = pair(r, 'int64');
    return { op: 'Where', inputs: [constant(r, 'bool', [1]), a, b] };
  },
  Gather: (r) => ({
    op: 'Gather',
    inputs: [
      constant(r, 'int64', [4, 3]),
      { dtype: 'int64', shape: r.pick([[], [2]]), constant: true, value: draws(r, 2, -3, 2) },
    ],
    attributes: { axis: draw(r, -2, 1) },
  }),
  Slice: (r) => {
    const inputs = [constant(r, 'int64', [5, 4]), list(draws(r, 2, -5, 4)), list(draws(r, 2, -5, 6)), list([0, 1])];
    return { op: 'Slice', inputs: [...inputs, list([r.pick([1, 2, -1]), r.pick([1, 3, -2])])] };
  },
  'Slice of a list': (r) => ({
    op: 'Slice',
    inputs: [constant(r, 'int64', [6]), list([draw(r, -6, 5)]), list([draw(r, -6, 9)])],
  }),
  Concat: (r) => ({
    op: 'Concat',
    inputs: [constant(r, 'int64', [2]), constant(r, 'int64', [1]), constant(r, 'int64', [3])],
    attributes: { axis: 0 },
  }),
  Transpose: (r) => ({ op: 'Transpose', inputs: [constant(r, 'int64', [2, 3, 2])], attributes: { perm: [2, 0, 1] } }),
  Expand: (r) => ({ op: 'Expand', inputs: [constant(r, 'int64', [3, 1]), list([2, 1, 4])] }),
  Reshape: (r) => ({ op: 'Reshape', inputs: [constant(r, 'int64', [2, 6]), list([-1, 3])] }),
  Squeeze: (r) => ({ op: 'Squeeze', inputs: [constant(r, 'int64', [1, 3])] }),
  Unsqueeze: (r) => ({ op: 'Unsqueeze', inputs: [constant(r, 'int64', [3]), list([0, -1])] }),
  Split: (r) => ({
    op: 'Split',
    inputs: [constant(r, 'int64', [2, 5]), list([2, 3])],
    attributes: { axis: 1 },
    outputs: 2,
  }),
  reduction: (r) => ({
    op: r.pick(['ReduceSum', 'ReduceProd', 'ReduceMax', 'ReduceMin']),
    opset: 18,
    inputs: [constant(r, 'int64', [4])],
    attributes: { keepdims: draw(r, 0, 1) },
  }),
  Range: (r) => ({
    op: 'Range',
    inputs: [draw(r, -5, 5), draw(r, -5, 9), r.pick([1, 2, -1])].map((v) => ({
      ...constant(r, 'int64', []),
      value: [v],
    })),
  }),
  ConstantOfShape: (r) => ({ op: 'ConstantOfShape', inputs: [list(draws(r, 2, 1, 3))] }),
  Shape: (r) => ({
    op: 'Shape',
    inputs: [{ dtype: 'float32', shape: draws(r, 3, 1, 9) }],
    attributes: { start: draw(r, -2, 1), end: r.pick([undefined, 2, 3, -1]) },
  }),
  Size: (r) => ({ op: 'Size', inputs: [{ dtype: 'float32', shape: draws(r, 3, 1, 9) }] }),
};

for (const [name, make] of Object.entries(CASES)) {
  test(`values of ${name} are those of a run`, async () => {
    const random = new Random(11).fork(name);
    let compared = 0;
    for (let attempt = 0; attempt < 20; attempt++) {
      const node = make(random);
      const model = oneNodeModel(node);
      const real = await runModel(model, feedsOf(node));
      if (!real) continue;
      const known = inferKnown(model, {});
      for (const [output, { elements }] of real) {
        const value = known.get(output)?.value;
        // -0 is 0 to a shape.
        const plain = value?.map((element) => (typeof element === 'number' ? element + 0 : element));
        assert.deepEqual(
          plain,
          elements.map((element) => element + 0),
          `${JSON.stringify(node)} ${output}`,
        );
        compared++;
      }
    }
    assert.ok(compared >= 10, `only ${compared} cases ran`);
  });
}

test('a value that does not fit its type is not followed', () => {
  const big: Feed = { dtype: 'int32', shape: [1], constant: true, value: [2 ** 31 - 1] };
  const one: Feed = { dtype: 'int32', shape: [1], constant: true, value: [1] };
  assert.equal(inferKnown(oneNodeModel({ op: 'Add', inputs: [big, one] }), {}).get('out0')?.value, undefined);
  const third: Feed = { dtype: 'float32', shape: [1], constant: true, value: [1] };
  const three: Feed = { dtype: 'float32', shape: [1], constant: true, value: [3] };
  const known = inferKnown(oneNodeModel({ op: 'Div', inputs: [third, three] }), {});
  assert.deepEqual(known.get('out0')?.value, [Math.fround(1 / 3)]);
});
