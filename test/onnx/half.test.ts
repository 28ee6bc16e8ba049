import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bfloat16ToFloat32, float16ToFloat32 } from '../../onnx/half.js';

test('binary16 numbers of every class become the same float32', () => {
  const bits = Uint16Array.of(0x0000, 0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x8001, 0x7c00, 0xfc00, 0x3555);
  const values = float16ToFloat32(bits);
  const want = [0, 1, -2, 65504, 2 ** -14, 2 ** -24, -(2 ** -24), Infinity, -Infinity, 0.333251953125];
  assert.deepEqual([...values], want);
  assert.ok(Object.is(float16ToFloat32(Uint16Array.of(0x8000))[0], -0));
  assert.ok(Number.isNaN(float16ToFloat32(Uint16Array.of(0x7e00))[0]));
});

test('bfloat16 numbers are the upper halves of float32', () => {
  const values = bfloat16ToFloat32(Uint16Array.of(0x3f80, 0xc000, 0x7f80, 0x0001, 0x4049));
  assert.deepEqual([...values], [1, -2, Infinity, 2 ** -133, 3.140625]);
});
