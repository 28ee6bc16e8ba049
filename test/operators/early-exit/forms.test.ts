import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { GraphBuilder } from '../../../onnx/build.js';
import { DATA_TYPE } from '../../../onnx/model.js';
import { float32Tensor } from '../../../onnx/tensor.js';
import { featureForms } from '../../../operators/early-exit/forms.js';
import { close, numbers, outputsOf } from './support.js';

const { float32 } = DATA_TYPE;

/** What ONNX Runtime makes of one tensor in every form of its shape. */
async function features(shape: readonly number[], values: Float32Array, opset: number): Promise<number[][]> {
  const g = new GraphBuilder({ name: 'forms', opset });
  const x = g.input('x', 'float32', shape);
  const forms = featureForms(shape, float32, opset);
  const names = forms.map((form, i) => {
    const output = g.node('Identity', [form.build(g, x, `form${i}`)], {}, `out${i}`);
    return g.output(output, 'float32', ['N', form.count]);
  });
  const found = await outputsOf(g.build(), [{ name: 'x', tensor: float32Tensor(shape, values) }]);
  for (const [i, { count }] of forms.entries()) assert.deepEqual(found.get(`out${i}`)?.shape, [1, count]);
  return names.map((name) => numbers(found.get(name)));
}

const noise = (count: number) => new Random(8).fillUniform(new Float32Array(count), -1, 1);
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);

/** Means over side x side cells of a map [C, H, W], which overlap where the map's side is no multiple. */
function cellsByHand(values: Float32Array, [c, h, w]: readonly [number, number, number], side: number): number[] {
  const [sy, sx] = [Math.floor(h / side), Math.floor(w / side)];
  const [ky, kx] = [h - (side - 1) * sy, w - (side - 1) * sx];
  return upTo(c).flatMap((channel) =>
    upTo(side * side).map((cell) => {
      const [top, left] = [Math.floor(cell / side) * sy, (cell % side) * sx];
      return mean(
        upTo(ky).flatMap((y) => upTo(kx).map((x) => values[(channel * h + top + y) * w + left + x] as number)),
      );
    }),
  );
}

test('maps are averaged over grids of cells', async () => {
  for (const [h, w] of [
    [7, 5],
    [4, 4],
    [9, 12],
  ] as const) {
    const values = noise(3 * h * w);
    const found = await features([1, 3, h, w], values, 17);
    assert.equal(found.length, 4);
    for (const [i, row] of found.entries()) assert.ok(close(row, cellsByHand(values, [3, h, w], i + 1)), `${h}x${w}`);
  }
});

test('a map that is smaller than a grid has no such form', () => {
  const names = (shape: readonly number[]) => featureForms(shape, float32, 17).map(({ name }) => name);
  assert.deepEqual(names([1, 8, 2, 5]), ['mean over the map', 'means over 2 x 2 cells']);
  assert.deepEqual(names([1, 8, 1, 1]), ['mean over the map']);
  // 1024 features at most.
  assert.deepEqual(names([1, 200, 9, 9]), ['mean over the map', 'means over 2 x 2 cells']);
  assert.deepEqual(names([1, 2000, 9, 9]), []);
});

test('sequences give the mean of the tokens, and the first beside it, in old opsets and new', async () => {
  const [tokens, width] = [4, 3];
  const values = noise(tokens * width);
  const means = upTo(width).map((j) => mean(upTo(tokens).map((i) => values[i * width + j] as number)));
  for (const opset of [13, 17, 18, 21]) {
    const [first, second] = await features([1, tokens, width], values, opset);
    assert.ok(close(first as number[], means), `opset ${opset}`);
    assert.ok(close(second as number[], [...values.subarray(0, width), ...means]), `opset ${opset}`);
  }
});

test('vectors are taken as they are; integers and other shapes not at all', async () => {
  const values = noise(5);
  assert.deepEqual(await features([1, 5], values, 17), [[...values]]);
  assert.deepEqual(featureForms([1, 5], DATA_TYPE.int64, 17), []);
  for (const shape of [[], [5], [1, 2, 3, 4, 5], [1, 0]]) assert.deepEqual(featureForms(shape, float32, 17), []);
});
