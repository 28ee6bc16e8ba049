import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TierbedError } from '../../../../base/errors.js';
import { Random } from '../../../../base/random.js';
import { decodeInferRequest, decodeInferResponse, encodeInferRequest } from '../../../../services/rpc/codec/codec.js';
import { MAX_PARAMETERS, MAX_RANK, MAX_STRINGS, MAX_TENSORS } from '../../../../services/rpc/limits.js';
import { encoded, oracle } from './oracle.js';
import { framed, randomRequest } from './tensors.js';

/** Decodes, and fails on anything thrown but a TierbedError `invalid`. Gives whether the message was refused. */
function refused(decode: (message: Uint8Array) => unknown, message: Uint8Array): boolean {
  try {
    decode(message);
    return false;
  } catch (error) {
    assert.ok(error instanceof TierbedError && error.kind === 'invalid', `threw ${error}`);
    return true;
  }
}

function request(inputs: object[], rawInputContents: Uint8Array[] = []): Buffer {
  return encoded(oracle.request, { modelName: 'm', inputs, rawInputContents });
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 128);
  }
}

/** A length-delimited field. */
function field(number: number, content: Uint8Array | readonly number[]): Buffer {
  return Buffer.from([...varint(number * 8 + 2), ...varint(content.length), ...content]);
}

describe('a damaged message', () => {
  it('is refused when it is cut short, wherever that is', () => {
    const message = framed(encodeInferRequest(randomRequest(13)));
    let cutInField = 0;
    for (let length = 0; length < message.length; length++) {
      if (refused(decodeInferRequest, message.subarray(0, length))) cutInField++;
    }
    assert.ok(cutInField > message.length / 2, `only ${cutInField} of ${message.length} cuts were noticed`);
  });

  it('never makes the decoder throw anything but a clear error', () => {
    const random = new Random(1);
    for (let round = 0; round < 3000; round++) {
      const message = framed(encodeInferRequest(randomRequest(round % 40)));
      for (let i = 1 + random.integer(4); i > 0 && message.length > 0; i--) {
        message[random.integer(message.length)] = random.uint32() & 0xff;
      }
      refused(decodeInferRequest, message);
      refused(decodeInferResponse, message);
    }
    for (let round = 0; round < 3000; round++) {
      const noise = Uint8Array.from({ length: random.integer(60) }, () => random.uint32() & 0xff);
      refused(decodeInferRequest, noise);
      refused(decodeInferResponse, noise);
    }
  });

  const cases: Record<string, { readonly message: Uint8Array; readonly says: RegExp }> = {
    'a length past the end': { message: Buffer.from([0x2a, 100, 1]), says: /100 bytes where 1 are left/ },
    'a length of 4 GiB': {
      message: Buffer.from([0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
      says: /4294967295 bytes where 0/,
    },
    'a length of 64 bits': {
      message: Buffer.from([0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
      says: /more than 32 bits/,
    },
    'a varint without end': { message: Buffer.alloc(30, 0xff), says: /malformed/ },
    'field number 0': { message: Buffer.from([0x02, 0]), says: /field number 0/ },
    'wire type 7': { message: Buffer.from([0x9f, 0x06, 0]), says: /wire type 7/ },
    'a known field of another wire type': { message: Buffer.from([0x28, 5]), says: /field 5 has wire type 0/ },
    'groups in groups without end': { message: Buffer.alloc(100_000, 0x83).fill(0x06, 1, 2), says: /malformed/ },
    'deeply nested groups': {
      message: Buffer.concat(Array.from({ length: 5000 }, () => Buffer.from([0x83, 0x06]))),
      says: /nested deeper/,
    },
    'a group that another one ends': { message: Buffer.from([0x83, 0x06, 0x8c, 0x06]), says: /another one ends/ },
    'a name that is not UTF-8': { message: Buffer.from([0x0a, 1, 0xff]), says: /model_name is not UTF-8/ },
    'too many tensors': {
      message: Buffer.concat(Array.from({ length: MAX_TENSORS + 1 }, () => Buffer.from([0x2a, 0]))),
      says: /more than 4096 tensors/,
    },
    'too many raw contents': {
      message: Buffer.concat(Array.from({ length: MAX_TENSORS + 1 }, () => Buffer.from([0x3a, 0]))),
      says: /more than 4096 raw/,
    },
    'too many parameters': {
      message: Buffer.concat(
        Array.from({ length: MAX_PARAMETERS + 1 }, (_, i) =>
          field(4, [...field(1, Buffer.from(`${i}`)), 0x12, 2, 8, 1]),
        ),
      ),
      says: /more than 4096 parameters/,
    },
    'too many dimensions': {
      message: request([{ name: 'x', datatype: 'FP32', shape: Array(MAX_RANK + 1).fill(1) }]),
      says: /x has more than 64 dimensions/,
    },
    'too many strings': {
      message: request([{ name: 'x', datatype: 'BYTES', shape: [MAX_STRINGS + 1] }], [Buffer.alloc(4)]),
      says: /x: .*1048577 BYTES/,
    },
    'a negative dimension': {
      message: request([{ name: 'x', datatype: 'FP32', shape: [-1] }], [Buffer.alloc(4)]),
      says: /x has a dimension of -1/,
    },
    'an enormous shape': {
      message: request([{ name: 'x', datatype: 'INT8', shape: ['4611686018427387904', 4] }]),
      says: /dimension of 4611686018427387904/,
    },
    'a shape that overflows': {
      message: request([{ name: 'x', datatype: 'FP32', shape: [2 ** 40, 2 ** 40] }], [Buffer.alloc(4)]),
      says: /x: .*takes .* bytes, got 4/,
    },
    'typed contents for an enormous shape': {
      message: request([{ name: 'x', datatype: 'INT64', shape: [2 ** 40], contents: { int64Contents: [1, 2] } }]),
      says: /x: 2 elements where/,
    },
    'an unknown datatype': {
      message: request([{ name: 'x', datatype: 'FP8', shape: [1] }], [Buffer.alloc(1)]),
      says: /x has the unknown datatype "FP8"/,
    },
    'a datatype that every object has': {
      message: request([{ name: 'x', datatype: 'constructor', shape: [1] }], [Buffer.alloc(1)]),
      says: /unknown datatype/,
    },
    'too few raw bytes': {
      message: request([{ name: 'x', datatype: 'FP32', shape: [2] }], [Buffer.alloc(7)]),
      says: /x: a float32 tensor of shape \[2\] takes 8 bytes, got 7/,
    },
    'fewer raw contents than inputs': {
      message: request(
        [
          { name: 'x', datatype: 'INT8', shape: [1] },
          { name: 'y', datatype: 'INT8', shape: [1] },
        ],
        [Buffer.alloc(1)],
      ),
      says: /1 entries for 2 inputs/,
    },
    'raw contents without inputs': { message: request([], [Buffer.alloc(1)]), says: /1 entries for 0 inputs/ },
    'contents both raw and typed': {
      message: request(
        [{ name: 'x', datatype: 'INT8', shape: [1], contents: { intContents: [1] } }],
        [Buffer.alloc(1)],
      ),
      says: /both typed and raw/,
    },
    'contents of another type': {
      message: request([{ name: 'x', datatype: 'INT8', shape: [1], contents: { uintContents: [1] } }]),
      says: /x: INT8 elements are in uint_contents, not in int_contents/,
    },
    'no contents at all': {
      message: request([{ name: 'x', datatype: 'FP32', shape: [1] }]),
      says: /x: a float32 tensor of shape \[1\] takes 4 bytes, got 0/,
    },
    'an element out of range': {
      message: request([{ name: 'x', datatype: 'UINT8', shape: [1], contents: { uintContents: [256] } }]),
      says: /x: element 0 is 256, which UINT8 cannot hold/,
    },
    'too many elements': {
      message: request([{ name: 'x', datatype: 'INT32', shape: [1], contents: { intContents: [1, 2] } }]),
      says: /x: 2 elements where shape \[1\] takes 1/,
    },
    'a string without its length': {
      message: request([{ name: 'x', datatype: 'BYTES', shape: [1] }], [Buffer.alloc(3)]),
      says: /x: .*four bytes of length/,
    },
    'a string longer than its message': {
      message: request([{ name: 'x', datatype: 'BYTES', shape: [1] }], [Buffer.from([9, 0, 0, 0, 1])]),
      says: /x: .*9 bytes where 1 are left/,
    },
    'more strings than the shape has': {
      message: request([{ name: 'x', datatype: 'BYTES', shape: [1] }], [Buffer.alloc(8)]),
      says: /x: .*more than the 1/,
    },
    'fewer strings than the shape has': {
      message: request([{ name: 'x', datatype: 'BYTES', shape: [3] }], [Buffer.alloc(8)]),
      says: /x: .*2 BYTES elements where shape \[3\] takes 3/,
    },
    'a tensor in shared memory': {
      message: request([
        { name: 'x', datatype: 'INT8', shape: [1], parameters: { shared_memory_region: { stringParam: 'r' } } },
      ]),
      says: /x is in shared memory/,
    },
    'an output as classes': {
      message: encoded(oracle.request, { outputs: [{ name: 'y', parameters: { classification: { int64Param: 3 } } }] }),
      says: /output y .*classification/,
    },
  };
  for (const [name, { message, says }] of Object.entries(cases)) {
    it(`${name} is refused`, () => {
      assert.throws(
        () => decodeInferRequest(message),
        (error) => {
          assert.ok(error instanceof TierbedError && error.kind === 'invalid');
          assert.match(error.message, says);
          return true;
        },
      );
    });
  }
});

it('passes over fields that it does not know', () => {
  const message = request([{ name: 'x', datatype: 'INT8', shape: [1] }], [Buffer.from([7])]);
  const unknown = Buffer.concat([
    Buffer.from([0xa0, 0x06, 0xff, 0x01]), // field 100: a varint
    Buffer.from([0xa1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8]), // 64 bits
    Buffer.from([0xa5, 0x06, 1, 2, 3, 4]), // 32 bits
    field(100, [1, 2, 3]),
    Buffer.from([0xa3, 0x06, 0x08, 1, 0x13, 0x14, 0xa4, 0x06]), // a group with a group in it
  ]);
  const { inputs } = decodeInferRequest(Buffer.concat([unknown, message, unknown]));
  assert.deepEqual(inputs[0]?.tensor.data, Buffer.from([7]));
});
