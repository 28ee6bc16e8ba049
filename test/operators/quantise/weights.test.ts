import assert from 'node:assert/strict';
import { test } from 'node:test';
import { activationParams, quantiseValues, roundEven } from '../../../operators/quantise/graph/activations.js';
import {
  layoutOf,
  magnitudes,
  quantiseBias,
  quantiseWeight,
  REDUCED_STEPS,
  WEIGHT_STEPS,
  weightScales,
} from '../../../operators/quantise/graph/weights.js';

test('numbers are rounded to the nearest step, halves to the even one', () => {
  const given = [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 1.49, -7.51, 0];
  assert.deepEqual(
    given.map((x) => roundEven(x) + 0),
    [0, 2, 2, 0, -2, -2, 1, -8, 0],
  );
});

test('uint8 covers the range as it is, made to include 0, and holds 0 exactly', () => {
  for (const [min, max] of [
    [-1, 3],
    [0, 6],
    [-2, 0],
    [2, 5],
    [-7, -3],
    [-1e-3, 1e4],
  ] as const) {
    const { scale, zeroPoint } = activationParams({ min, max }, 'uint8');
    const [low, high] = [(0 - zeroPoint) * scale, (255 - zeroPoint) * scale];
    assert.ok(Math.abs(low - Math.min(0, min)) <= scale / 2 + 1e-6 * scale, `${min} ${max}: ${low}`);
    assert.ok(Math.abs(high - Math.max(0, max)) <= scale / 2 + 1e-6 * scale, `${min} ${max}: ${high}`);
    assert.ok(Number.isInteger(zeroPoint) && zeroPoint >= 0 && zeroPoint <= 255);
  }
});

test('int8 is symmetric around 0', () => {
  assert.deepEqual(activationParams({ min: -1, max: 127 }, 'int8'), { type: 'int8', scale: 1, zeroPoint: 0 });
  assert.deepEqual(activationParams({ min: -254, max: 127 }, 'int8'), { type: 'int8', scale: 2, zeroPoint: 0 });
});

test('a range of no width, and one that float32 cannot divide, get a safe scale', () => {
  for (const type of ['uint8', 'int8'] as const) {
    for (const range of [
      { min: 0, max: 0 },
      { min: -1e-44, max: 1e-44 },
    ]) {
      assert.deepEqual(activationParams(range, type), { type, scale: 1, zeroPoint: 0 });
    }
    const constant = activationParams({ min: 5, max: 5 }, type);
    const [step] = quantiseValues(Float32Array.of(5), constant);
    assert.ok(Math.abs(((step as number) - constant.zeroPoint) * constant.scale - 5) < 1e-5);
  }
});

test('values beyond the range saturate', () => {
  const params = activationParams({ min: -1, max: 1 }, 'uint8');
  assert.deepEqual([...quantiseValues(Float32Array.of(-9, 9), params)], [0, 255]);
  const signed = activationParams({ min: -1, max: 1 }, 'int8');
  assert.deepEqual([...new Int8Array(quantiseValues(Float32Array.of(-9, 9, -1), signed).buffer)], [-128, 127, -127]);
});

/** [2, 3, 2]: channels along the middle axis of largest magnitude 4, 0 and 2. */
const WEIGHT = Float32Array.of(1, -4, 0, 0, 0.5, 2, 3, 2, 0, 0, -2, -1);
const SHAPE = [2, 3, 2];

test('each channel has the scale of its own largest weight; a channel of zeros that of the largest', () => {
  const sizes = magnitudes(WEIGHT, layoutOf(SHAPE, 1));
  assert.deepEqual([...sizes], [4, 0, 2]);
  const scales = weightScales(sizes, WEIGHT_STEPS);
  assert.deepEqual(
    [...scales],
    [4, 4, 2].map((size) => Math.fround(size / 127)),
  );
  const { values } = quantiseWeight(WEIGHT, SHAPE, 1, scales);
  WEIGHT.forEach((w, i) => {
    const channel = Math.floor(i / 2) % 3;
    assert.ok(Math.abs((values[i] as number) * (scales[channel] as number) - w) <= (scales[channel] as number) / 2);
  });
  assert.deepEqual([...weightScales(new Float64Array(3), WEIGHT_STEPS)], [1, 1, 1]);
});

test('without an axis the whole weight has one scale', () => {
  assert.deepEqual([...magnitudes(WEIGHT, layoutOf(SHAPE, undefined))], [4]);
});

test('with 7 bits no pair of products leaves 16 bits', () => {
  const scales = weightScales(magnitudes(WEIGHT, layoutOf(SHAPE, 1)), REDUCED_STEPS);
  const { values } = quantiseWeight(WEIGHT, SHAPE, 1, scales);
  const most = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  assert.equal(most, 64);
  assert.ok(2 * 255 * most < 2 ** 15);
});

test('a bias that int32 cannot hold widens the scale of its channel, and of no other', () => {
  const sizes = Float64Array.of(1e-6, 1, 0);
  const bias = { values: Float32Array.of(5, 5, 5), inputScale: 0.01 };
  const scales = weightScales(sizes, WEIGHT_STEPS, bias);
  assert.ok((scales[0] as number) > 1e-6 / 127);
  assert.equal(scales[1], Math.fround(1 / 127));
  const { values, scales: steps } = quantiseBias(bias.values, bias.inputScale, scales);
  values.forEach((q, i) => {
    assert.ok(Math.abs(q) <= 2 ** 30 * 1.0001, `${q}`);
    assert.ok(Math.abs(q * (steps[i] as number) - 5) < 1e-3, `${q * (steps[i] as number)}`);
  });
});
