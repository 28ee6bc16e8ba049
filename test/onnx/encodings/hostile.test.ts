import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { Random } from '../../../base/random.js';
import { type EncodingChoice, encodingChain } from '../../../onnx/encodings/chain.js';
import { decodeTensor, encodeTensor, MAX_DECODED_BYTES } from '../../../onnx/encodings/encoded-tensor.js';
import { decodeTensors } from '../../../onnx/encodings/link-encoding.js';
import { float32Tensor } from '../../../onnx/tensor.js';

const TENSOR = float32Tensor(
  [2, 6],
  Float32Array.from({ length: 12 }, (_, i) => i - 3),
);
const CHOICES: readonly EncodingChoice[] = [
  'fp32',
  'fp16',
  'int8',
  { int8: { axis: 1 } },
  'deflate',
  ['int8', 'deflate'],
];
const encoded = (choice: EncodingChoice): Uint8Array => encodeTensor(TENSOR, encodingChain(choice));

/** A header over anything. */
function blob(
  fields: { elements?: number; bytes?: number; type?: number; shape?: number[] },
  rest: Uint8Array,
): Uint8Array {
  const { elements = 0, bytes = 0, type = 1, shape = [1] } = fields;
  const head = new Uint8Array(8 + 4 * shape.length + 4);
  head.set([0x54, 0x42, 0x45, 1, elements, bytes, type, shape.length]);
  const view = new DataView(head.buffer);
  shape.forEach((dim, i) => {
    view.setUint32(8 + 4 * i, dim, true);
  });
  return Uint8Array.from([...head, ...rest]);
}

test('what is cut off anywhere is refused with what is wrong, never taken for a tensor', () => {
  for (const choice of CHOICES) {
    const whole = encoded(choice);
    for (let length = 0; length < whole.length; length++) {
      assert.throws(() => decodeTensor(whole.subarray(0, length)), { kind: 'invalid' }, `${length} bytes of ${choice}`);
    }
    if (choice === 'fp32' || choice === 'fp16' || choice === 'int8') {
      assert.throws(() => decodeTensor(Uint8Array.from([...whole, 0])), {
        kind: 'invalid',
        message: /bytes of elements/,
      });
    }
  }
});

test('changed bytes are refused or give a tensor, and nothing else happens', () => {
  const random = new Random(9);
  for (const choice of CHOICES) {
    for (let i = 0; i < 500; i++) {
      const bytes = new Uint8Array(encoded(choice));
      for (let n = 0; n <= random.integer(3); n++) bytes[random.integer(bytes.length)] = random.integer(256);
      try {
        const { shape, data } = decodeTensor(bytes);
        assert.ok(data.length >= shape.reduce((n, dim) => n * dim, 1));
      } catch (error) {
        assert.equal((error as { kind?: string }).kind, 'invalid', String(error));
      }
    }
  }
});

test('a header that promises too much is refused before anything is made of it', () => {
  const bomb = deflateRawSync(new Uint8Array(1 << 20));
  const cases: [Uint8Array, RegExp][] = [
    [blob({ shape: [MAX_DECODED_BYTES / 4 + 1] }, new Uint8Array(4)), /larger than may be sent/],
    [blob({ shape: Array(32).fill(0xffffffff) }, new Uint8Array(4)), /larger than may be sent/],
    [blob({ shape: Array(33).fill(1) }, new Uint8Array(4)), /33 dimensions/],
    [blob({ bytes: 1, shape: [16] }, bomb), /inflates to more than the 64 bytes/],
    [blob({ bytes: 1, shape: [1 << 20] }, bomb), /1048576 came out, not 4194304/],
    [blob({ elements: 9 }, new Uint8Array(4)), /encoding 9, 0 is not known/],
    [blob({ bytes: 9 }, new Uint8Array(4)), /encoding 0, 9 is not known/],
    [blob({ type: 8 }, new Uint8Array(4)), /type 8/],
    [blob({ type: 99 }, new Uint8Array(4)), /type 99/],
    [blob({ elements: 1, type: 7 }, new Uint8Array(2)), /fp16 does not encode int64/],
    [Uint8Array.from([0x54, 0x42, 0x45, 2, ...new Uint8Array(20)]), /version is 2/],
  ];
  for (const [bytes, message] of cases) assert.throws(() => decodeTensor(bytes), { kind: 'invalid', message });
});

test('parameters of int8 that do not fit are refused', () => {
  const good = encoded('int8');
  // Behind magic, two dimensions and the length: axis, count, scale, zero point.
  const at = 8 + 4 * 2 + 4;
  const changed = (offset: number, bytes: readonly number[]): Uint8Array => {
    const copy = new Uint8Array(good);
    copy.set(bytes, at + offset);
    return copy;
  };
  const cases: [Uint8Array, RegExp][] = [
    [changed(0, [2, 0, 0, 0]), /axis 2/],
    [changed(0, [0xfe, 0xff, 0xff, 0xff]), /axis -2/],
    [changed(0, [1, 0, 0, 0]), /1 channels/],
    [changed(4, [0xff, 0xff, 0xff, 0xff]), /4294967295 channels/],
    [changed(8, [0, 0, 0, 0]), /scale of 0/],
    [changed(8, [0, 0, 0x80, 0x7f]), /scale of Infinity/],
    [changed(8, [0, 0, 0xc0, 0x7f]), /scale of NaN/],
    [changed(8, [0, 0, 0x80, 0xbf]), /scale of -1/],
  ];
  for (const [bytes, message] of cases) assert.throws(() => decodeTensor(bytes), { kind: 'invalid', message });
});

test('a tensor that is not what the stage takes is refused before it is decoded', () => {
  const bytes = encoded(['fp32', 'deflate']);
  const sent = [{ name: 'x', tensor: { dtype: 'uint8', shape: [bytes.length], data: bytes } }] as const;
  const x = (dtype: string, shape: (number | string)[]) => [{ name: 'x', dtype, shape }];
  assert.deepEqual(decodeTensors(sent, x('float32', ['N', 6]))[0]?.tensor, TENSOR);
  for (const wrong of [x('float16', ['N', 6]), x('float32', ['N', 7]), x('float32', [12])]) {
    assert.throws(() => decodeTensors(sent, wrong), { kind: 'invalid', message: /"x".*float32 \[2, 6\] where/ });
  }
  assert.throws(() => decodeTensors([{ name: 'x', tensor: TENSOR }]), {
    kind: 'invalid',
    message: /"x" is float32 \[2, 6\], and this stage takes encoded tensors/,
  });
});
