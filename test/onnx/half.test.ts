import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bfloat16ToFloat32, float16ToFloat32, float32ToFloat16 } from '../../onnx/half.js';

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

test('every one of the 65536 binary16 numbers comes back as it was', () => {
  const bits = Uint16Array.from({ length: 0x10000 }, (_, i) => i);
  const back = float32ToFloat16(float16ToFloat32(bits));
  for (let i = 0; i < bits.length; i++) {
    const noNumber = (i & 0x7c00) === 0x7c00 && (i & 0x3ff) !== 0;
    // A NaN stays a NaN; its sign and payload are the host's.
    if (noNumber) assert.equal((back[i] as number) & 0x7e00, 0x7e00, i.toString(16));
    else assert.equal(back[i], i, i.toString(16));
  }
});

test('float32 is rounded to the nearest binary16 number, ties to even', () => {
  const positive = float16ToFloat32(Uint16Array.from({ length: 0x7c00 }, (_, i) => i));
  const round = (value: number): number => float32ToFloat16(Float32Array.of(value))[0] as number;
  const above = (value: number): number => {
    const words = new Uint32Array(Float32Array.of(value).buffer);
    return new Float32Array(Uint32Array.of((words[0] as number) + 1).buffer)[0] as number;
  };
  const below = (value: number): number => {
    const words = new Uint32Array(Float32Array.of(value).buffer);
    return new Float32Array(Uint32Array.of((words[0] as number) - 1).buffer)[0] as number;
  };
  // Between any two neighbours: the middle, and the float32 numbers on both sides of it.
  for (let i = 0; i + 1 < positive.length; i++) {
    const middle = ((positive[i] as number) + (positive[i + 1] as number)) / 2;
    const even = i % 2 === 0 ? i : i + 1;
    const got = [round(below(middle)), round(middle), round(above(middle)), round(-middle)];
    assert.deepEqual(got, [i, even, i + 1, even | 0x8000], `between ${i} and ${i + 1}`);
  }
  assert.deepEqual([65519.996, 65520, 1e30, Infinity, -Infinity].map(round), [0x7bff, 0x7c00, 0x7c00, 0x7c00, 0xfc00]);
  assert.deepEqual([1e-30, -1e-30, -0].map(round), [0, 0x8000, 0x8000]);
  assert.equal(round(Number.NaN) & 0x7fff, 0x7e00);
});
