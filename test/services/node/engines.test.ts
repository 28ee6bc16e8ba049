import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { TierbedError } from '../../../base/errors.js';
import type { DType, NamedTensor, Tensor } from '../../../onnx/tensor.js';
import { ENGINE_NAMES, engineNamed } from '../../../services/node/engines/index.js';
import { identity, layers, rows, withExternalData } from './models.js';

const folder = await mkdtemp(join(tmpdir(), 'tierbed-engines-'));
after(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, content: Uint8Array): Promise<string> {
  const path = join(folder, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
  return path;
}

const options = { threads: 1, graphOptimization: true };

/** Two elements of each dtype that an engine takes. */
const PAIRS: Readonly<Partial<Record<DType, Tensor>>> = {
  float32: pair('float32', new Float32Array([1.5, -2])),
  float16: pair('float16', new Uint16Array([0x3c00, 0xc000])),
  float64: pair('float64', new Float64Array([1e300, -0.5])),
  int8: pair('int8', new Int8Array([-128, 127])),
  uint8: pair('uint8', new Uint8Array([0, 255])),
  int16: pair('int16', new Int16Array([-32768, 32767])),
  uint16: pair('uint16', new Uint16Array([0, 65535])),
  int32: pair('int32', new Int32Array([-(2 ** 31), 2 ** 31 - 1])),
  uint32: pair('uint32', new Uint32Array([0, 2 ** 32 - 1])),
  int64: pair('int64', new BigInt64Array([-(2n ** 63n), 2n ** 63n - 1n])),
  uint64: pair('uint64', new BigUint64Array([0n, 2n ** 64n - 1n])),
  bool: pair('bool', new Uint8Array([0, 1])),
  string: { dtype: 'string', shape: [1, 2], data: [Buffer.from('é'), Buffer.from('')].map((b) => new Uint8Array(b)) },
};

function pair(dtype: Exclude<DType, 'string'>, values: ArrayBufferView): Tensor {
  return { dtype, shape: [1, 2], data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

for (const name of ENGINE_NAMES) {
  describe(`engine ${name}`, () => {
    test('gives back every dtype unchanged, from unaligned bytes too', async () => {
      const engine = await engineNamed(name);
      for (const [dtype, tensor] of Object.entries(PAIRS) as [DType, Tensor][]) {
        const session = await engine.open(await file(`${name}-${dtype}.onnx`, identity(dtype)), options);
        assert.deepEqual(session.inputs, [{ name: 'x', dtype, shape: ['N', 2] }]);
        const [output] = await session.run([{ name: 'x', tensor: unaligned(tensor) }]);
        assert.equal(output?.name, 'y');
        assert.equal(output.tensor.dtype, dtype);
        assert.deepEqual(output.tensor.shape, [1, 2]);
        assert.deepEqual(bytesOf(output.tensor), bytesOf(tensor), dtype);
        await session.close();
      }
    });

    test('refuses a wrong name, dtype, rank, dimension and a missing input, and says what it takes', async () => {
      const session = await (await engineNamed(name)).open(await file(`${name}.onnx`, layers(0, 2)), options);
      const [good] = rows(1) as [NamedTensor];
      const wrong: [string, NamedTensor[], RegExp][] = [
        ['name', [{ ...good, name: 'z' }], /no input "z".*"x" \(float32 \[N, 64\]\)/],
        ['dtype', [{ name: 'x', tensor: { ...good.tensor, dtype: 'int32' } as Tensor }], /must be float32.*got int32/],
        [
          'rank',
          [{ name: 'x', tensor: { ...good.tensor, shape: [64] } as Tensor }],
          /must be float32 \[N, 64\].*\[64\]/,
        ],
        ['dim', [{ name: 'x', tensor: { ...good.tensor, shape: [2, 32] } as Tensor }], /got float32 \[2, 32\]/],
        ['missing', [], /input "x".*missing/],
        ['twice', [good, good], /given twice/],
      ];
      for (const [what, inputs, message] of wrong) {
        await assert.rejects(
          () => session.run(inputs),
          (error) => error instanceof TierbedError && error.kind === 'invalid' && message.test(error.message),
          what,
        );
      }
      const [output] = await session.run(rows(1));
      assert.deepEqual(output?.tensor.shape, [1, 64], 'it still runs');
      await session.close();
    });

    test('refuses damaged models', async () => {
      const engine = await engineNamed(name);
      const whole = layers(0, 2);
      for (const [what, content] of [
        ['truncated', whole.subarray(0, whole.length / 2)],
        ['noise', new Uint8Array(500).fill(0xa7)],
        ['empty', new Uint8Array()],
      ] as const) {
        const path = await file(`${name}-${what}.onnx`, content);
        await assert.rejects(
          () => engine.open(path, options),
          (error) => error instanceof TierbedError && error.kind === 'invalid',
          what,
        );
      }
    });

    test('finds external data beside the model', async () => {
      const path = await file(`${name}-external/model.onnx`, withExternalData('data/w.bin'));
      await file(`${name}-external/data/w.bin`, new Uint8Array(new Float32Array([10, 20]).buffer));
      const session = await (await engineNamed(name)).open(path, options);
      const x = new Uint8Array(new Float32Array([1, 2]).buffer);
      const [output] = await session.run([{ name: 'x', tensor: { dtype: 'float32', shape: [2], data: x } }]);
      assert.deepEqual(bytesOf(output?.tensor as Tensor), [...new Uint8Array(new Float32Array([11, 22]).buffer)]);
      await session.close();
    });
  });
}

test('an engine that is not there is named with those that are', async () => {
  await assert.rejects(() => engineNamed('toString'), /no engine "toString"/);
});

test('the native engine refuses what it has no dtype for', async () => {
  const engine = await engineNamed('native');
  await assert.rejects(async () => engine.open(await file('bf16.onnx', identity('bfloat16')), options), {
    name: 'TierbedError',
    kind: 'invalid',
  });
});

function unaligned(tensor: Tensor): Tensor {
  if (tensor.dtype === 'string') return tensor;
  // A Buffer, as messages are: its `slice` copies nothing.
  const shifted = Buffer.alloc(tensor.data.byteLength + 1);
  shifted.set(tensor.data, 1);
  return { ...tensor, data: shifted.subarray(1) };
}

function bytesOf(tensor: Tensor): unknown {
  return tensor.dtype === 'string' ? tensor.data.map((bytes) => [...bytes]) : [...tensor.data];
}
