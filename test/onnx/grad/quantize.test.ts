import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { GraphBuilder } from '../../../onnx/build.js';
import { trainingGraph } from '../../../onnx/grad/training-graph.js';
import { openModel } from '../../../onnx/runtime/session.js';
import { type DenseTensor, denseTensor, float32Tensor, float32Values } from '../../../onnx/tensor.js';

interface Case {
  readonly type: 'uint8' | 'int8';
  readonly shape: readonly number[];
  readonly scale: readonly number[];
  readonly zeroPoint: readonly number[];
  readonly axis?: number;
  /** Whether the zero point is known when the graph is built. */
  readonly constant?: boolean;
}

const LIMITS = { uint8: [0, 255], int8: [-128, 127] } as const;

/** Runs fake quantisation of `x`, whose loss is the dot product with `c`. */
async function gradients(each: Case, x: Float32Array, c: Float32Array) {
  const { type, shape, scale, zeroPoint, axis, constant = true } = each;
  const dims = axis === undefined ? [] : [scale.length];
  const g = new GraphBuilder({ name: 'fake', opset: 18 });
  const given = g.input('c', 'float32', [x.length]);
  g.initializer('x', float32Tensor(shape, x));
  g.initializer('scale', float32Tensor(dims, Float32Array.from(scale)));
  const zero = constant
    ? g.initializer('zero', denseTensor(type, dims, Uint8Array.from(zeroPoint)))
    : g.node('Cast', [g.initializer('held', float32Tensor(dims, Float32Array.from(zeroPoint)))], {
        to: type === 'uint8' ? 2 : 3,
      });
  const attributes = axis === undefined ? {} : { axis };
  const steps = g.node('QuantizeLinear', ['x', 'scale', zero], attributes);
  const y = g.node('DequantizeLinear', [steps, 'scale', zero], attributes, 'y');
  g.output(y, 'float32', shape);
  const weights = ['x', 'scale'];
  const { model, gradients: names } = await trainingGraph(g.build(), {
    ...{ batch: x.length, weights, batchNorm: 'frozen', buffers: constant ? [] : ['held'], outputs: ['y'] },
    loss: ({ builder }) => builder.node('MatMul', [builder.node('Reshape', [y, builder.int64([-1])]), given]),
  });
  const session = await openModel(model, { threads: 1, graphOptimization: false });
  const feeds = [
    { name: 'c', tensor: float32Tensor([c.length], c) },
    { name: 'x', tensor: float32Tensor(shape, x) },
    { name: 'scale', tensor: float32Tensor(dims, Float32Array.from(scale)) },
    ...(constant ? [] : [{ name: 'held', tensor: float32Tensor(dims, Float32Array.from(zeroPoint)) }]),
  ];
  const results = new Map(
    (await session.run(feeds)).map(({ name, tensor }) => [name, float32Values(tensor as DenseTensor)]),
  );
  await session.close();
  const of = (weight: string): Float32Array => {
    const found = names.get(weight);
    assert.equal(found?.kind, 'dense');
    return results.get((found as { tensor: string }).tensor) as Float32Array;
  };
  return { x: of('x'), scale: of('scale'), y: results.get('y') as Float32Array };
}

/** The same in plain arithmetic, element by element (LSQ, equation 3). */
function expected(each: Case, x: Float32Array, c: Float32Array) {
  const { type, shape, scale, zeroPoint, axis } = each;
  const [least, most] = LIMITS[type];
  const inner = shape.slice((axis ?? 0) + 1).reduce((a, b) => a * b, 1);
  const result = {
    x: new Float64Array(x.length),
    scale: new Float64Array(scale.length),
    y: new Float64Array(x.length),
  };
  x.forEach((value, i) => {
    const channel = axis === undefined ? 0 : Math.floor(i / inner) % (shape[axis] as number);
    const s = Math.fround(scale[channel] as number);
    const zero = zeroPoint[channel] as number;
    const rounded = even(Math.fround(value / s)) + zero;
    const q = Math.min(most, Math.max(least, rounded));
    const passes = rounded === q && !(least === 0 && zero === 0 && each.constant !== false && value < 0);
    result.y[i] = (q - zero) * s;
    result.x[i] = passes ? (c[i] as number) : 0;
    result.scale[channel] =
      (result.scale[channel] as number) + (c[i] as number) * (q - zero - (passes ? value / s : 0));
  });
  return result;
}

function even(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

function close(found: Float32Array, wanted: Float64Array, what: string): void {
  assert.equal(found.length, wanted.length, what);
  const size = Math.max(1, ...wanted.map(Math.abs));
  found.forEach((value, i) => {
    assert.ok(Math.abs(value - (wanted[i] as number)) <= 2e-4 * size, `${what}[${i}]: ${value}, not ${wanted[i]}`);
  });
}

const CASES: Readonly<Record<string, Case>> = {
  'uint8 from 0 on': { type: 'uint8', shape: [4, 50], scale: [0.01], zeroPoint: [0] },
  'uint8 around 0': { type: 'uint8', shape: [200], scale: [0.012], zeroPoint: [117] },
  'a zero point that changes': { type: 'uint8', shape: [4, 50], scale: [0.02], zeroPoint: [60], constant: false },
  int8: { type: 'int8', shape: [2, 5, 20], scale: [0.013], zeroPoint: [0] },
  'by channel of the first axis': {
    type: 'int8',
    shape: [3, 40],
    scale: [0.01, 0.02, 0.005],
    zeroPoint: [0, 0, 0],
    axis: 0,
  },
  'by channel of an inner axis': {
    type: 'uint8',
    shape: [5, 2, 10],
    scale: [0.01, 0.02],
    zeroPoint: [3, 200],
    axis: 1,
  },
  'by channel of the last axis': {
    type: 'int8',
    shape: [20, 3],
    scale: [0.01, 0.02, 0.03],
    zeroPoint: [0, 0, 0],
    axis: 1,
  },
};

for (const [name, each] of Object.entries(CASES)) {
  test(`fake quantisation passes gradients straight through where it does not saturate: ${name}`, async () => {
    const random = new Random(5);
    const count = each.shape.reduce((a, b) => a * b, 1);
    const x = random.fillUniform(new Float32Array(count), -3, 3);
    const c = random.fillUniform(new Float32Array(count), -1, 1);
    const [found, wanted] = [await gradients(each, x, c), expected(each, x, c)];
    close(found.y, wanted.y, 'y');
    close(found.x, wanted.x, 'dx');
    close(found.scale, wanted.scale, 'dscale');
    const passed = wanted.x.filter((value) => value !== 0).length;
    assert.ok(passed > 0 && passed < count, 'some saturate and some do not');
  });
}

/** The loss and its gradients of an int8 sum or product of two tensors, by the kernel or by the float node in between. */
async function binary(opType: 'Add' | 'Mul', by: 'kernel' | 'float', shapes: readonly (readonly number[])[]) {
  const random = new Random(8);
  const g = new GraphBuilder({ name: 'binary', opset: 18 });
  g.useDomain('com.microsoft', 1);
  const [[a, b], zeroPoints, scales] = [
    ['a', 'b'],
    [120, 131, 90],
    [0.0203173, 0.0131971, 0.0216533],
  ];
  const count = (shape: readonly number[]): number => shape.reduce((x, y) => x * y, 1);
  const values = shapes.map((shape) => random.fillUniform(new Float32Array(count(shape)), -2, 2));
  const parts = [a, b, 'c'].map((name, i) => {
    const scale = g.initializer(`${name}.scale`, float32Tensor([], Float32Array.of(scales[i] as number)));
    return [scale, g.initializer(`${name}.zero`, denseTensor('uint8', [], Uint8Array.of(zeroPoints[i] as number)))];
  }) as [[string, string], [string, string], [string, string]];
  const stored = [a, b].map((name, i) => {
    g.initializer(name as string, float32Tensor(shapes[i] as number[], values[i] as Float32Array));
    return g.node('QuantizeLinear', [name as string, ...(parts[i] as [string, string])]);
  });
  const numbers = stored.map((name, i) => g.node('DequantizeLinear', [name, ...(parts[i] as [string, string])]));
  const steps =
    by === 'float'
      ? g.node('QuantizeLinear', [g.node(opType, numbers), ...parts[2]])
      : (g.nodeWithOutputs(
          `QLinear${opType}`,
          [stored[0] as string, ...parts[0], stored[1] as string, ...parts[1], ...parts[2]],
          1,
          {},
          { domain: 'com.microsoft' },
        )[0] as string);
  const y = g.node('DequantizeLinear', [steps, ...parts[2]], {}, 'y');
  g.output(y, 'float32', shapes[0] as number[]);
  const weights = [a, b, 'a.scale', 'b.scale', 'c.scale'] as string[];
  const { model, gradients: names } = await trainingGraph(g.build(), {
    ...{ batch: 1, weights, batchNorm: 'frozen', outputs: ['y'] },
    loss: ({ builder }) => {
      const by = random.fork('by').fillUniform(new Float32Array(count(shapes[0] as number[])), -1, 1);
      const weighted = builder.node('Mul', [y, builder.initializer('by', float32Tensor(shapes[0] as number[], by))]);
      return builder.node('ReduceSum', [weighted], { keepdims: 0 });
    },
  });
  const session = await openModel(model, { threads: 1, fuseQuantised: false });
  const results = new Map(
    (
      await session.run([
        ...[a, b].map((name, i) => ({
          name: name as string,
          tensor: float32Tensor(shapes[i] as number[], values[i] as Float32Array),
        })),
        ...[a, b, 'c'].map((name, i) => ({
          name: `${name}.scale`,
          tensor: float32Tensor([], Float32Array.of(scales[i] as number)),
        })),
      ])
    ).map(({ name, tensor }) => [name, float32Values(tensor as DenseTensor)]),
  );
  await session.close();
  const of = (weight: string) => results.get((names.get(weight) as { tensor: string }).tensor) as Float32Array;
  return { y: results.get('y') as Float32Array, gradients: new Map(weights.map((weight) => [weight, of(weight)])) };
}

for (const opType of ['Add', 'Mul'] as const) {
  for (const shapes of [
    [
      [2, 3, 40],
      [2, 3, 40],
    ],
    [
      [2, 3, 40],
      [3, 1],
    ],
  ]) {
    test(`the int8 kernel of ${opType} has the gradient of the float node: ${JSON.stringify(shapes)}`, async () => {
      const [found, wanted] = [await binary(opType, 'kernel', shapes), await binary(opType, 'float', shapes)];
      found.y.forEach((value, i) => {
        assert.equal(value, wanted.y[i], `y[${i}]`);
      });
      for (const [weight, gradient] of wanted.gradients) {
        assert.ok(
          gradient.some((value) => value !== 0),
          weight,
        );
        close(found.gradients.get(weight) as Float32Array, Float64Array.from(gradient), weight);
      }
      const a = wanted.gradients.get('a') as Float32Array;
      assert.ok(a.includes(0), 'some saturate');
    });
  }
}

test('steps of other types than 8 bits have no gradient', async () => {
  const g = new GraphBuilder({ name: 'wide', opset: 21 });
  g.input('c', 'float32', [2]);
  g.initializer('x', float32Tensor([2], Float32Array.of(1, 2)));
  const zero = g.initializer('zero', denseTensor('uint16', [], new Uint8Array(2)));
  const scale = g.float32(0.1);
  const y = g.node('DequantizeLinear', [g.node('QuantizeLinear', ['x', scale, zero], {}, 'steps'), scale, zero]);
  g.output(y, 'float32', [2]);
  const loss = trainingGraph(g.build(), {
    ...{ batch: 2, weights: ['x'], batchNorm: 'frozen' },
    loss: ({ builder }) => builder.node('MatMul', [y, 'c']),
  });
  await assert.rejects(loss, { kind: 'invalid', message: /steps.*neither uint8 nor int8/ });
});
