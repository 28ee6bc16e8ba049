import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { type EncodingChoice, encodingChain } from '../../../onnx/encodings/chain.js';
import { decodeTensor, encodeTensor } from '../../../onnx/encodings/encoded-tensor.js';
import type { EncodedRange } from '../../../onnx/encodings/encoding.js';
import { ENCODINGS } from '../../../onnx/encodings/index.js';
import { decodeTensors, encodeTensors } from '../../../onnx/encodings/link-encoding.js';
import { float16ToFloat32, float32ToFloat16 } from '../../../onnx/half.js';
import { type DenseTensor, denseTensor, float32Tensor, float32Values } from '../../../onnx/tensor.js';

const through = (tensor: DenseTensor, choice: EncodingChoice, range?: EncodedRange): DenseTensor =>
  decodeTensor(encodeTensor(tensor, encodingChain(choice), range));

const values = (tensor: DenseTensor): number[] => [...float32Values(tensor)];

function noise(shape: readonly number[], seed = 1): DenseTensor {
  const random = new Random(seed);
  const count = shape.reduce((n, dim) => n * dim, 1);
  return float32Tensor(
    shape,
    Float32Array.from({ length: count }, () => random.uniform(-3, 5)),
  );
}

test('every encoding has a name and a number of its own', () => {
  assert.equal(new Set(ENCODINGS.map(({ name }) => name)).size, ENCODINGS.length);
  assert.equal(new Set(ENCODINGS.map(({ kind, code }) => `${kind} ${code}`)).size, ENCODINGS.length);
  // A number that changed would be read as something else by a node of another version.
  assert.deepEqual(
    ENCODINGS.map(({ name, kind, code }) => [name, kind, code]),
    [
      ['fp32', 'elements', 0],
      ['fp16', 'elements', 1],
      ['int8', 'elements', 2],
      ['deflate', 'bytes', 1],
    ],
  );
});

test('fp32 and deflate give back the same bytes, of every type', () => {
  for (const choice of ['fp32', 'deflate', ['fp32', { deflate: { level: 9 } }]] as const) {
    for (const tensor of [
      noise([2, 3, 4]),
      noise([]),
      noise([0, 4]),
      denseTensor('int64', [3], new Uint8Array(24).fill(7)),
      denseTensor('bool', [2, 2], Uint8Array.of(1, 0, 0, 1)),
      denseTensor('bfloat16', [2], Uint8Array.of(1, 2, 3, 4)),
    ]) {
      const back = through(tensor, choice);
      assert.deepEqual([back.dtype, back.shape, [...back.data]], [tensor.dtype, tensor.shape, [...tensor.data]]);
    }
  }
  const zeros = float32Tensor([1000], new Float32Array(1000));
  assert.ok(encodeTensor(zeros, encodingChain('deflate')).length < 100);
});

test('fp16 takes half the bytes, and gives what binary16 has of each number', () => {
  const tensor = noise([3, 50]);
  const encoded = encodeTensor(tensor, encodingChain('fp16'));
  assert.ok(encoded.length < 300 + 40);
  const want = float16ToFloat32(float32ToFloat16(float32Values(tensor)));
  assert.deepEqual(values(through(tensor, 'fp16')), [...want]);
  assert.deepEqual(values(through(float32Tensor([3], Float32Array.of(Infinity, -Infinity, 1e30)), 'fp16')), [
    Infinity,
    -Infinity,
    Infinity,
  ]);
  assert.ok(Number.isNaN(values(through(float32Tensor([1], Float32Array.of(Number.NaN)), 'fp16'))[0]));
  const double = denseTensor('float64', [2], new Uint8Array(Float64Array.of(1.5, -2.25).buffer));
  assert.deepEqual(through(double, 'fp16'), double);
});

test('int8 takes a quarter, is off by half a step at most, and 0 is exact', () => {
  const tensor = noise([2, 8, 5, 5]);
  assert.ok(encodeTensor(tensor, encodingChain('int8')).length < 400 + 60);
  const [original, back] = [values(tensor), values(through(tensor, 'int8'))];
  const step = (Math.max(...original) - Math.min(...original)) / 255;
  for (const [i, value] of original.entries()) {
    assert.ok(Math.abs((back[i] as number) - value) <= step * 0.5001, `${value} became ${back[i]}`);
  }
  assert.equal(values(through(float32Tensor([3], Float32Array.of(-0.7, 0, 12)), 'int8'))[1], 0);
  // What lies on one side of 0 has all steps there.
  const positive = float32Tensor(
    [256],
    Float32Array.from({ length: 256 }, (_, i) => i),
  );
  assert.deepEqual(values(through(positive, 'int8')), values(positive));
  const negative = float32Tensor(
    [256],
    Float32Array.from({ length: 256 }, (_, i) => i - 255),
  );
  assert.deepEqual(values(through(negative, 'int8')), values(negative));
});

test('int8 rounds ties to even', () => {
  const tensor = float32Tensor([4], Float32Array.of(0.5, 1.5, 2.5, 255));
  assert.deepEqual(values(through(tensor, 'int8')), [0, 2, 2, 255]);
});

test('int8 along an axis has steps of its own for each channel', () => {
  const channels = Float32Array.of(0, 255, 0, 0.255, -25.5, 0, 0, 510, 0, 0.51, 0, 0);
  for (const axis of [1, -2]) {
    const tensor = float32Tensor([2, 3, 2], channels);
    const got = values(through(tensor, { int8: { axis } }));
    for (const [i, want] of channels.entries()) {
      const step = [2, 0.002, 0.1][Math.floor(i / 2) % 3] as number;
      assert.ok(Math.abs((got[i] as number) - want) <= step * 0.51, `${i}: ${got[i]} for ${want}`);
    }
  }
  // A tensor without such an axis has one range.
  assert.deepEqual(values(through(float32Tensor([2], Float32Array.of(0, 255)), { int8: { axis: 1 } })), [0, 255]);
});

test('what lies outside a calibrated range becomes its end', () => {
  const tensor = float32Tensor([4], Float32Array.of(-10, 0, 100, 1000));
  const got = values(through(tensor, 'int8', { min: [0], max: [255] }));
  assert.deepEqual(got, [0, 0, 100, 255]);
  assert.throws(() => encodeTensor(tensor, encodingChain({ int8: { axis: 0 } }), { min: [0], max: [1] }), {
    kind: 'invalid',
    message: /4 channels/,
  });
});

test('int8 makes of infinities the ends of the finite range and of NaN 0', () => {
  const tensor = float32Tensor([6], Float32Array.of(Infinity, -Infinity, Number.NaN, -55, 200, 1));
  assert.deepEqual(values(through(tensor, 'int8')), [200, -55, 0, -55, 200, 1]);
  for (const nothing of [Infinity, Number.NaN, 0]) {
    const got = values(through(float32Tensor([2], Float32Array.of(nothing, nothing)), 'int8'));
    assert.ok(
      got.every((value) => Number.isFinite(value)),
      `${nothing} became ${got}`,
    );
  }
});

test('int8 holds ranges of every size', () => {
  for (const size of [2 ** -149, 1e-40, 1e-20, 1, 3.4e38]) {
    const tensor = float32Tensor([3], Float32Array.of(-size, 0, size));
    const got = values(through(tensor, 'int8'));
    assert.equal(got[1], 0);
    const step = Math.max((2 * size) / 255, 2 ** -149);
    assert.ok(Math.abs((got[2] as number) - size) <= step, `${size} became ${got[2]}`);
    assert.ok(Math.abs((got[0] as number) + size) <= step, `${-size} became ${got[0]}`);
  }
});

test('half precision tensors can be int8, and are as they are in fp16', () => {
  const bits = float32ToFloat16(Float32Array.from({ length: 64 }, (_, i) => i - 20));
  const tensor = denseTensor('float16', [64], new Uint8Array(bits.buffer));
  assert.deepEqual(through(tensor, 'fp16'), tensor);
  const back = through(tensor, 'int8');
  assert.equal(back.dtype, 'float16');
  const got = float16ToFloat32(new Uint16Array(new Uint8Array(back.data).buffer));
  for (const [i, value] of got.entries()) assert.ok(Math.abs(value - (i - 20)) <= 63 / 255);
});

test('views that are not aligned are read as what they are', () => {
  const tensor = noise([5, 7]);
  const shifted = new Uint8Array(tensor.data.length + 1);
  shifted.set(tensor.data, 1);
  const view = denseTensor('float32', [5, 7], shifted.subarray(1));
  for (const choice of ['fp16', 'int8', 'deflate'] as const) {
    assert.deepEqual(through(view, choice), through(tensor, choice));
    const encoded = encodeTensor(tensor, encodingChain(choice));
    const moved = new Uint8Array(encoded.length + 3);
    moved.set(encoded, 3);
    assert.deepEqual(decodeTensor(moved.subarray(3)), through(tensor, choice));
  }
});

test('encodings follow each other, and an order that makes no sense is refused', () => {
  const tensor = float32Tensor([400], new Float32Array(400).fill(1));
  const both = encodeTensor(tensor, encodingChain(['int8', 'deflate']));
  assert.ok(both.length < 60);
  assert.deepEqual(values(decodeTensor(both)), values(tensor));
  const cases: [EncodingChoice, RegExp][] = [
    [['deflate', 'int8'], /'int8' encodes elements, and 'deflate' before it/],
    [['fp16', 'int8'], /'int8' follows 'fp16'/],
    [['deflate', 'deflate'], /one encoding of bytes/],
    ['zip', /no encoding 'zip'/],
  ];
  for (const [choice, message] of cases) assert.throws(() => encodingChain(choice), { kind: 'invalid', message });
});

test('tensors keep their names, and strings stay what they are', () => {
  const text = { name: 't', tensor: { dtype: 'string', shape: [1], data: [Uint8Array.of(65)] } } as const;
  const tensors = [
    { name: 'a', tensor: noise([4]) },
    text,
    { name: 'i', tensor: denseTensor('int8', [2], Uint8Array.of(1, 255)) },
  ];
  const encoding = { chain: encodingChain(['int8', 'deflate']), ranges: { a: { min: [-1], max: [1] } } };
  const sent = encodeTensors(tensors, encoding);
  assert.deepEqual(
    sent.map(({ name, tensor }) => [name, tensor.dtype]),
    [
      ['a', 'uint8'],
      ['t', 'string'],
      ['i', 'uint8'],
    ],
  );
  const back = decodeTensors(sent);
  assert.deepEqual(
    back.map(({ name }) => name),
    ['a', 't', 'i'],
  );
  assert.ok(
    values(back[0]?.tensor as DenseTensor).every((value) => Math.abs(value) <= 1.01),
    'its calibrated range',
  );
  assert.equal(back[1], back[1]);
  assert.deepEqual(back[1]?.tensor, text.tensor);
  assert.deepEqual(back[2]?.tensor.data, tensors[2]?.tensor.data);
});
