import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TierbedError } from '../../base/errors.js';
import { decodeItemFile, encodeItemFile } from '../../workloads/item-file.js';

const ids = { name: 'ids', tensor: { dtype: 'int64', shape: [1, 2], data: new Uint8Array(16).fill(7) } } as const;
const flag = { name: 'flag é', tensor: { dtype: 'bool', shape: [3], data: new Uint8Array([1, 0, 1]) } } as const;
const scalar = { name: 's', tensor: { dtype: 'float32', shape: [], data: new Uint8Array([0, 0, 128, 63]) } } as const;
const none = { name: 'none', tensor: { dtype: 'uint8', shape: [0, 4], data: new Uint8Array(0) } } as const;

describe('item files', () => {
  it('hold any number of tensors, scalars and empty ones included, at multiples of 8 bytes', () => {
    const file = encodeItemFile([ids, flag, scalar, none]);
    assert.equal(file.byteLength % 8, 0);
    const back = decodeItemFile(file);
    assert.deepEqual(
      back.map(({ name, tensor }) => [name, tensor.dtype, tensor.shape, [...(tensor.data as Uint8Array)]]),
      [ids, flag, scalar, none].map(({ name, tensor }) => [name, tensor.dtype, tensor.shape, [...tensor.data]]),
    );
    for (const { tensor } of back) {
      const { buffer, byteOffset } = tensor.data as Uint8Array;
      assert.equal(buffer, file.buffer, 'a view, not a copy');
      assert.equal((byteOffset - file.byteOffset) % 8, 0);
    }
    assert.deepEqual(decodeItemFile(encodeItemFile([])), []);
  });

  it('refuse what is damaged, wherever the damage is', () => {
    const file = encodeItemFile([ids, flag]);
    const bad = (header: string): Buffer => {
      const json = Buffer.from(header.padEnd(Math.ceil(header.length / 8) * 8));
      const start = Buffer.from('TBI1\0\0\0\0');
      start.writeUInt32LE(json.byteLength, 4);
      return Buffer.concat([start, json]);
    };
    const damaged: Uint8Array[] = [
      Buffer.alloc(0),
      Buffer.from('TBI'),
      Buffer.concat([Buffer.from('XXXX'), file.subarray(4)]),
      file.subarray(0, 20),
      file.subarray(0, file.byteLength - 8),
      Buffer.concat([file, Buffer.alloc(8)]),
      bad('not json'),
      bad('{}'),
      bad('[{"name":"a","dtype":"string","shape":[1]}]'),
      bad('[{"name":"a","dtype":"toString","shape":[1]}]'),
      bad('[{"name":"a","dtype":"int8","shape":[-1]}]'),
      bad('[{"name":"a","dtype":"int8","shape":[9007199254740991,9007199254740991]}]'),
      bad('[{"name":"a","dtype":"int8","shape":[1000000000000]}]'),
    ];
    for (const bytes of damaged) {
      assert.throws(
        () => decodeItemFile(bytes),
        (error) => error instanceof TierbedError && error.kind === 'invalid' && /not an item file/.test(error.message),
        Buffer.from(bytes).toString('latin1', 0, 60),
      );
    }
  });
});
