import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { GraphBuilder } from '../../../onnx/build.js';
import { differentiate } from '../../../onnx/grad/differentiate.js';
import { staticShapes } from '../../../onnx/grad/static-shapes.js';
import { float32Tensor } from '../../../onnx/tensor.js';
import { type OneNode, oneNodeModel } from '../../support/one-node.js';
import { backwardOf } from './support/backward.js';
import { checkGradient, checkNode, uniform } from './support/check-gradient.js';

const random = new Random(3);

test('of inputs side by side, one alone is differentiated', async () => {
  const inputs = [uniform(random, [2, 3]), uniform(random, [2, 1]), uniform(random, [2, 4])];
  const node: OneNode = { op: 'Concat', inputs, attributes: { axis: 1 } };
  for (const wrt of ['in0', 'in1', 'in2']) await checkNode(node, { wrt: [wrt] });
});

test('parts that nothing uses count as zeros', async () => {
  const g = new GraphBuilder({ name: 'parts', opset: 18 });
  const x = g.input('x', 'float32', [2, 6]);
  const [, middle] = g.nodeWithOutputs('Split', [x, g.int64([1, 2, 3])], 3, { axis: 1 });
  g.output(middle as string, 'float32', [2, 2]);
  await checkGradient(g.build(), { x: float32Tensor([2, 6], values(12)) });
});

test("ONNX Runtime's own Gelu", async () => {
  const node: OneNode = { op: 'Gelu', domain: 'com.microsoft', inputs: [uniform(random, [3, 7], -4, 4)] };
  await checkNode(node);
});

test('a tensor that is used twice gets both gradients', async () => {
  const g = new GraphBuilder({ name: 'twice', opset: 18 });
  const x = g.input('x', 'float32', [5]);
  const square = g.node('Mul', [x, x]);
  g.output(g.node('Add', [square, g.node('Div', [x, g.node('Exp', [square])])]), 'float32', [5]);
  await checkGradient(g.build(), { x: float32Tensor([5], values(5)) });
});

test('rows of a table, and dense where something else takes it too', async () => {
  const build = (also: boolean) => {
    const g = new GraphBuilder({ name: 'table', opset: 18 });
    const table = g.input('table', 'float32', [5, 3]);
    const ids = g.input('ids', 'int64', [2, 2]);
    const rows = g.node('Gather', [table, ids]);
    const loss = g.node('ReduceSum', [g.node('Mul', [rows, rows])], { keepdims: 0 });
    return { g, loss: also ? g.node('Add', [loss, g.node('ReduceSum', [table], { keepdims: 0 })]) : loss };
  };
  for (const also of [false, true]) {
    const { g, loss } = build(also);
    g.output(loss, 'float32', []);
    const shapes = await staticShapes(g.build());
    const gradient = differentiate(g, loss, ['table'], { shapes, rows: true }).get('table');
    assert.equal(gradient?.kind, also ? 'dense' : 'rows');
    if (gradient?.kind === 'rows')
      assert.deepEqual(
        gradient.parts.map(({ indices }) => indices),
        ['ids'],
      );
  }
});

test('what cannot be differentiated is refused by name', async () => {
  const real = uniform(random, [2, 2]);
  const truth = { dtype: 'bool', shape: [], value: [1], constant: true } as const;
  await refused({ op: 'Dropout', inputs: [real, undefined, truth] }, ['in0'], /node \(Dropout\).*random numbers/);
  const bound = { dtype: 'float32', shape: [], value: [0] } as const;
  await refused({ op: 'Clip', inputs: [real, bound] }, ['in1'], /node \(Clip\).*bounds/);
  const place = { dtype: 'int64', shape: [1], value: [1] } as const;
  await refused({ op: 'Slice', inputs: [real, place, place] }, ['in0'], /its input 1 \(in1\) is no constant/);
  await refused({ op: 'Einsum', inputs: [real], attributes: { equation: '...i->...' } }, ['in0'], /an ellipsis/);
  await refused({ op: 'Einsum', inputs: [real], attributes: { equation: 'ii->i' } }, ['in0'], /a letter twice/);
  await refused({ op: 'CumSum', inputs: [real, truth] }, ['in0'], /node node: there is no gradient rule for CumSum/);
});

test('another type of float on the way of a gradient is refused by name', async () => {
  const g = new GraphBuilder({ name: 'half', opset: 18 });
  const half = g.node('Cast', [g.input('x', 'float32', [2])], { to: 10 }, 'half');
  g.output(g.node('Cast', [g.node('Exp', [half], {}, 'risen')], { to: 1 }, 'back'), 'float32', [2]);
  await assert.rejects(backwardOf(g.build(), ['x']), /node back takes risen as float16/);
});

test('steps give no gradient, and what is beside them does', async () => {
  for (const op of ['Floor', 'Ceil', 'Round', 'Sign']) {
    const g = new GraphBuilder({ name: op, opset: 18 });
    const x = g.input('x', 'float32', [4]);
    g.output(g.node('Add', [g.node(op, [x]), x]), 'float32', [4]);
    const { gradients } = await checkGradient(
      g.build(),
      { x: float32Tensor([4], values(4)) },
      {
        ...{ differences: false, weights: {} },
      },
    );
    assert.ok(gradients.get('x')?.every((value) => value !== 0));
  }
});

async function refused(node: OneNode, wrt: readonly string[], reason: RegExp): Promise<void> {
  await assert.rejects(backwardOf(oneNodeModel({ opset: 18, ...node }), wrt), reason);
}

function values(count: number): Float32Array {
  return random.fillUniform(new Float32Array(count), -1, 1);
}
