import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NamedTensor } from '../../../onnx/tensor.js';
import { transferable } from '../../../services/node/transfer.js';

const LARGE = 256 * 1024;

function tensor(data: Uint8Array): NamedTensor {
  return { name: 'x', tensor: { dtype: 'uint8', shape: [data.length], data } };
}

function dataOf(tensors: readonly NamedTensor[], i = 0): Uint8Array {
  return tensors[i]?.tensor.data as Uint8Array;
}

test('a large buffer that the tensors fill is handed over, once', () => {
  const message = new ArrayBuffer(LARGE + 100);
  const half = LARGE / 2;
  const { tensors, transfer } = transferable([
    tensor(new Uint8Array(message, 60, half)),
    tensor(new Uint8Array(message, 60 + half, half)),
  ]);
  assert.deepEqual(transfer, [message]);
  assert.equal(dataOf(tensors, 1).buffer, message);
  assert.equal(dataOf(tensors, 1).byteOffset, 60 + half);
});

test('small views are copied, so that a pool which others use stays', () => {
  const pool = new Uint8Array(8192).fill(3);
  const { tensors, transfer } = transferable([tensor(pool.subarray(16, 32))]);
  assert.ok(!transfer.includes(pool.buffer));
  assert.deepEqual(dataOf(tensors), new Uint8Array(16).fill(3));
  assert.equal(dataOf(tensors).buffer.byteLength, 16);
});

test('a view that fills most of a small pool is copied too', () => {
  const pool = new Uint8Array(8192);
  assert.ok(!transferable([tensor(pool.subarray(0, 8000))]).transfer.includes(pool.buffer));
});

test('a small part of a large buffer is copied', () => {
  const large = new Uint8Array(LARGE * 4);
  const { transfer } = transferable([tensor(large.subarray(0, LARGE))]);
  assert.ok(!transfer.includes(large.buffer));
});

test('strings go the same ways', () => {
  const picture = new Uint8Array(LARGE).fill(9);
  const { tensors, transfer } = transferable([
    { name: 'item', tensor: { dtype: 'string', shape: [2], data: [picture, new Uint8Array([1])] } },
  ]);
  assert.ok(transfer.includes(picture.buffer));
  const items = tensors[0]?.tensor.data as Uint8Array[];
  assert.deepEqual(items[1], new Uint8Array([1]));
});
