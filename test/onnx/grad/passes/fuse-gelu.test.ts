import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraphBuilder, type Value } from '../../../../onnx/build.js';
import { fuseGelu } from '../../../../onnx/grad/passes/fuse-gelu.js';
import type { Model } from '../../../../onnx/model.js';
import { openModel } from '../../../../onnx/runtime/session.js';
import { float32Tensor, float32Values } from '../../../../onnx/tensor.js';

/** A GELU in the orders that frameworks write it in. */
function spelled(order: 'half last' | 'half of x' | 'half first', used = false): Model {
  const g = new GraphBuilder({ name: 'gelu', opset: 18 });
  const x = g.node('Neg', [g.input('x', 'float32', ['N'])], {}, 'negated');
  const [half, one] = [g.float32(0.5), g.float32(1)];
  const scaled = order === 'half of x' ? g.node('Mul', [x, g.float32(Math.SQRT1_2)]) : g.node('Div', [x, g.float32(Math.SQRT2)]);
  const erf = g.node('Erf', [scaled], {}, 'erf');
  const shifted = g.node('Add', [one, erf]);
  let y: Value;
  if (order === 'half of x') y = g.node('Mul', [g.node('Mul', [x, half]), shifted], {}, 'y');
  else if (order === 'half last') y = g.node('Mul', [g.node('Mul', [x, shifted]), half], {}, 'y');
  else y = g.node('Mul', [g.node('Mul', [shifted, half]), x], {}, 'y');
  g.output(y, 'float32', ['N']);
  if (used) g.output(erf, 'float32', ['N']);
  return g.build();
}

async function run(model: Model): Promise<Float32Array> {
  const session = await openModel(model, { threads: 1 });
  try {
    const values = Float32Array.from({ length: 41 }, (_, i) => (i - 20) / 4);
    const [y] = await session.run([{ name: 'x', tensor: float32Tensor([41], values) }], ['y']);
    return float32Values(y?.tensor as Parameters<typeof float32Values>[0]);
  } finally {
    await session.close();
  }
}

test('a GELU that is spelled out becomes one node, in any order', async () => {
  for (const order of ['half last', 'half of x', 'half first'] as const) {
    const model = spelled(order);
    const fused = fuseGelu(model, []);
    assert.deepEqual(
      fused.graph.nodes.map(({ opType }) => opType),
      ['Neg', 'Gelu'],
      order,
    );
    const [expected, actual] = [await run(model), await run(fused)];
    for (const [i, value] of expected.entries()) assert.ok(Math.abs(value - (actual[i] as number)) < 1e-6);
  }
});

test('a GELU stays as it is where something else takes what is between', () => {
  assert.equal(fuseGelu(spelled('half last', true), []).graph.nodes.length, 6);
  assert.equal(fuseGelu(spelled('half last'), ['erf']).graph.nodes.length, 6);
});
