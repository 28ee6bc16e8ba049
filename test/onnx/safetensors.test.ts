import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TierbedError } from '../../base/errors.js';
import { openSafetensors, readFloat32, writeSafetensors } from '../../onnx/safetensors.js';

const folder = mkdtempSync(join(tmpdir(), 'tierbed-safetensors-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, 'x.safetensors');

/** A file with this header and these elements. */
function file(header: string | object, data: Uint8Array = new Uint8Array(0), headerBytes?: bigint): string {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(headerBytes ?? BigInt(json.length));
  writeFileSync(path, Buffer.concat([length, json, data]));
  return path;
}

function refuses(open: () => unknown, pattern: RegExp, kind = 'invalid'): void {
  assert.throws(open, (error) => {
    assert.ok(error instanceof TierbedError, String(error));
    assert.equal(error.kind, kind);
    assert.match(error.message, pattern);
    assert.ok(error.message.includes(path));
    return true;
  });
}

const f32 = (name: string, begin: number, end: number) => ({
  [name]: { dtype: 'F32', shape: [(end - begin) / 4], data_offsets: [begin, end] },
});

test('tensors come back as they were written, scalars and empty ones too', () => {
  const tensors = [
    { name: 'w', shape: [2, 3], values: () => Float32Array.of(1, -2, 3.5, 4, 5, 6) },
    { name: '__proto__', shape: [], values: () => Float32Array.of(7) },
    { name: 'empty', shape: [0, 4], values: () => new Float32Array(0) },
  ];
  writeSafetensors(path, tensors, { format: 'pt' });
  const opened = openSafetensors(path);
  assert.deepEqual([...opened.tensors.keys()], ['w', '__proto__', 'empty']);
  assert.deepEqual(opened.metadata, { format: 'pt' });
  for (const { name, shape, values } of tensors) {
    assert.deepEqual(opened.tensors.get(name)?.shape, shape);
    assert.deepEqual(readFloat32(opened, name), values());
  }
  const headerBytes = Number(readFileSync(path).readBigUInt64LE());
  assert.equal(headerBytes % 8, 0);
  refuses(() => readFloat32(opened, 'other'), /no tensor other/, 'missing');
});

test('half, brain and double floats are read as float32, integers are refused', () => {
  const data = Buffer.alloc(2 + 2 + 8 + 8);
  data.writeUInt16LE(0x3c00, 0);
  data.writeUInt16LE(0x4049, 2);
  data.writeDoubleLE(0.1, 4);
  data.writeBigInt64LE(5n, 12);
  const opened = openSafetensors(
    file(
      {
        half: { dtype: 'F16', shape: [1], data_offsets: [0, 2] },
        brain: { dtype: 'BF16', shape: [1], data_offsets: [2, 4] },
        double: { dtype: 'F64', shape: [1], data_offsets: [4, 12] },
        count: { dtype: 'I64', shape: [], data_offsets: [12, 20] },
      },
      data,
    ),
  );
  assert.deepEqual(readFloat32(opened, 'half'), Float32Array.of(1));
  assert.deepEqual(readFloat32(opened, 'brain'), Float32Array.of(3.140625));
  assert.deepEqual(readFloat32(opened, 'double'), Float32Array.of(0.1));
  refuses(() => readFloat32(opened, 'count'), /tensor count is of type I64/);
});

test('a file that is none, or ends early, is refused', () => {
  rmSync(path, { force: true });
  refuses(() => openSafetensors(path), /cannot read/, 'missing');
  writeFileSync(path, Buffer.alloc(5));
  refuses(() => openSafetensors(path), /it has 5 bytes/);
  refuses(() => openSafetensors(file({}, undefined, 1000n)), /said to take 1000 bytes/);
  refuses(() => openSafetensors(file({}, undefined, 2n ** 63n)), /said to take 9223372036854775808|said to take 922/);
  refuses(() => openSafetensors(file('not json')), /not JSON/);
  refuses(() => openSafetensors(file('[1]')), /not a JSON object/);
  refuses(() => openSafetensors(file('"\xff"')), /not a JSON object|not JSON/);
  refuses(() => openSafetensors(file(f32('w', 0, 8), new Uint8Array(4))), /take 8 bytes, the file has 4/);
  const opened = openSafetensors(file(f32('w', 0, 8), new Uint8Array(8)));
  writeFileSync(path, readFileSync(path).subarray(0, -4));
  refuses(() => readFloat32(opened, 'w'), /ends at byte/);
});

test('a header that lies about a tensor is refused by the name of that tensor', () => {
  const entry = (value: unknown) => file({ w: value }, new Uint8Array(8));
  refuses(() => openSafetensors(entry(3)), /tensor w is described by/);
  refuses(() => openSafetensors(entry({ dtype: 'F99', shape: [2], data_offsets: [0, 8] })), /w is of unknown type/);
  refuses(() => openSafetensors(entry({ dtype: 'constructor', shape: [2], data_offsets: [0, 8] })), /unknown type/);
  refuses(() => openSafetensors(entry({ dtype: 'F32', shape: [-2], data_offsets: [0, 8] })), /w has shape/);
  refuses(() => openSafetensors(entry({ dtype: 'F32', shape: [1.5], data_offsets: [0, 8] })), /w has shape/);
  refuses(() => openSafetensors(entry({ dtype: 'F32', shape: '2', data_offsets: [0, 8] })), /w has shape/);
  refuses(() => openSafetensors(entry({ dtype: 'F32', shape: [2], data_offsets: [8] })), /w has data_offsets/);
  refuses(() => openSafetensors(entry({ dtype: 'F32', shape: [2], data_offsets: [8, 0] })), /takes 8 bytes and has -8/);
  refuses(() => openSafetensors(entry({ dtype: 'F32', shape: [3], data_offsets: [0, 8] })), /takes 12 bytes/);
  const huge = [2 ** 52, 2 ** 52, 2 ** 52];
  refuses(() => openSafetensors(entry({ dtype: 'F32', shape: huge, data_offsets: [0, 8] })), /w, F32 .* takes/);
  refuses(() => openSafetensors(file({ __metadata__: { n: 1 } })), /__metadata__/);
});

test('tensors that overlap, leave holes or leave bytes over are refused', () => {
  const both = (a: [number, number], b: [number, number], bytes: number) =>
    file({ ...f32('a', ...a), ...f32('b', ...b) }, new Uint8Array(bytes));
  refuses(() => openSafetensors(both([0, 8], [4, 12], 12)), /tensor b overlaps/);
  refuses(() => openSafetensors(both([0, 8], [12, 16], 16)), /tensor b leaves a hole/);
  refuses(() => openSafetensors(both([0, 8], [8, 12], 16)), /4 bytes at its end/);
});

test('writing refuses two tensors of one name and elements that do not fit', () => {
  const one = { name: 'w', shape: [2], values: () => new Float32Array(2) };
  refuses(() => writeSafetensors(path, [one, one]), /two tensors would be named w/);
  refuses(() => writeSafetensors(path, [{ ...one, shape: [3] }]), /w \[3\] was given 2 elements/);
});
