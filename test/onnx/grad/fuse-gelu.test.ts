import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraphBuilder, type Value } from '../../../onnx/build.js';
import { fuseGelu } from '../../../onnx/grad/fuse-gelu.js';
import type { Model } from '../../../onnx/model.js';
import { float32Tensor } from '../../../onnx/tensor.js';
import { runOnce } from './support/check-gradient.js';

type Write = (g: GraphBuilder, x: Value) => Value;

const normal: Write = (g, x) =>
  g.node('Add', [g.node('Erf', [g.node('Div', [x, g.float32(Math.SQRT2)])]), g.float32(1)]);
const half = (g: GraphBuilder): Value => g.float32(0.5);

const FORMS: Readonly<Record<string, Write>> = {
  'x (1 + erf), halved': (g, x) => g.node('Mul', [g.node('Mul', [x, normal(g, x)]), half(g)]),
  'half of (1 + erf), times x': (g, x) => g.node('Mul', [x, g.node('Mul', [normal(g, x), half(g)])]),
  'half of x, times (1 + erf)': (g, x) => g.node('Mul', [g.node('Mul', [half(g), x]), normal(g, x)]),
  'by a product, one first': (g, x) => {
    const erf = g.node('Erf', [g.node('Mul', [g.float32([Math.SQRT1_2]), x])]);
    return g.node('Mul', [half(g), g.node('Mul', [g.node('Add', [g.float32(1), erf]), x])]);
  },
};

const NO_FORMS: Readonly<Record<string, Write>> = {
  'another divisor': (g, x) => {
    const erf = g.node('Erf', [g.node('Div', [x, g.float32(1.5)])]);
    return g.node('Mul', [g.node('Mul', [x, g.node('Add', [erf, g.float32(1)])]), half(g)]);
  },
  'another factor': (g, x) => g.node('Mul', [g.node('Mul', [x, normal(g, x)]), g.float32(0.6)]),
  'of another tensor': (g, x) => g.node('Mul', [g.node('Mul', [g.node('Neg', [x]), normal(g, x)]), half(g)]),
  'whose middle is used': (g, x) => {
    const middle = normal(g, x);
    return g.node('Add', [g.node('Mul', [g.node('Mul', [x, middle]), half(g)]), middle]);
  },
};

function written(write: Write): Model {
  const g = new GraphBuilder({ name: 'gelu', opset: 18 });
  g.output(g.node('Identity', [write(g, g.input('x', 'float32', [7]))], {}, 'y'), 'float32', [7]);
  return g.build();
}

const x = float32Tensor([7], Float32Array.of(-9, -2, -0.5, 0, 0.25, 1.5, 30));

for (const [name, write] of Object.entries(FORMS)) {
  test(`one operator for ${name}`, async () => {
    const model = written(write);
    const fused = fuseGelu(model);
    assert.deepEqual(types(fused), ['com.microsoft.Gelu', 'Identity']);
    const [expected, actual] = [await runOnce(model, { x }), await runOnce(fused, { x })].map((run) => run.get('y'));
    for (const [i, value] of (expected as Float32Array).entries()) {
      assert.ok(Math.abs((actual?.[i] as number) - value) <= 1e-6 * Math.max(1, Math.abs(value)));
    }
  });
}

for (const [name, write] of Object.entries(NO_FORMS)) {
  test(`none for what is alike but ${name}`, () => {
    const model = written(write);
    assert.equal(fuseGelu(model), model);
  });
}

test('a tensor that is to be kept stays', () => {
  const model = written(FORMS['x (1 + erf), halved'] as Write);
  const erf = model.graph.nodes.find(({ opType }) => opType === 'Erf')?.outputs[0] as string;
  assert.equal(fuseGelu(model, [erf]), model);
});

function types({ graph }: Model): string[] {
  return graph.nodes.map(({ domain, opType }) => (domain === '' ? opType : `${domain}.${opType}`));
}
