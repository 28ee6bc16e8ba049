import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TierbedError } from '../../base/errors.js';
import { Random } from '../../base/random.js';
import { type DenseTensor, float32Tensor } from '../../onnx/tensor.js';
import { postprocess } from '../../workloads/postprocess/index.js';
import { parseNumbers } from '../../workloads/postprocess/numbers.js';
import { rankedClasses } from '../../workloads/postprocess/ranking.js';
import type { PostprocessSpec } from '../../workloads/types.js';

const spec = { kind: 'argmax', output: 'logits' } as const;
const floats = (...values: number[]) => float32Tensor([1, values.length], Float32Array.from(values));
const run = (tensor: DenseTensor, over: Partial<typeof spec & { classes: string[]; top: number }> = {}) =>
  postprocess({ ...spec, ...over }, [{ name: 'logits', tensor }]);

function invalid(text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof TierbedError, String(error));
    assert.equal(error.kind, 'invalid');
    assert.match(`${error.message} ${error.fix}`, text);
    return true;
  };
}

describe('argmax', () => {
  it('gives the index of the highest score, or its name', () => {
    assert.equal(run(floats(0.1, 3, -2)), '1');
    assert.equal(run(floats(0.1, 3, -2), { classes: ['a', 'b', 'c'] }), 'b');
    assert.equal(run(floats(-5, -3, -4)), '1');
    assert.equal(run(float32Tensor([4], Float32Array.of(1, 2, 3, 9))), '3');
    assert.equal(run(floats(Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY)), '0');
    assert.equal(run(floats(1, Number.POSITIVE_INFINITY)), '1');
  });

  it('gives the lowest index of equal scores', () => {
    assert.equal(run(floats(1, 7, 3, 7)), '1');
    assert.equal(run(floats(0, -0)), '0');
  });

  it('reads every numeric type', () => {
    const of = (dtype: DenseTensor['dtype'], array: ArrayBufferView & { length: number }): DenseTensor => ({
      dtype,
      shape: [1, array.length],
      data: new Uint8Array(array.buffer, array.byteOffset, array.byteLength),
    });
    assert.equal(run(of('int8', Int8Array.of(-3, -1, -2))), '1');
    assert.equal(run(of('uint8', Uint8Array.of(3, 200, 100))), '1');
    assert.equal(run(of('int16', Int16Array.of(-300, -100, -200))), '1');
    assert.equal(run(of('uint16', Uint16Array.of(3, 60000, 100))), '1');
    assert.equal(run(of('int32', Int32Array.of(-3, -1, -2))), '1');
    assert.equal(run(of('uint32', Uint32Array.of(3, 4e9, 100))), '1');
    assert.equal(run(of('int64', BigInt64Array.of(-3n, -1n, -2n))), '1');
    assert.equal(run(of('uint64', BigUint64Array.of(3n, 1n << 63n, 100n))), '1');
    assert.equal(run(of('float64', Float64Array.of(-3, -1, -2))), '1');
    assert.equal(run(of('bool', Uint8Array.of(0, 1, 0))), '1');
    // binary16: -1, 5.96e-8 (the smallest), 0; then 1, infinity, 65504
    assert.equal(run({ ...of('float16', Uint16Array.of(0xbc00, 0x0001, 0x0000)) }), '1');
    assert.equal(run({ ...of('float16', Uint16Array.of(0x3c00, 0x7c00, 0x7bff)) }), '1');
    // the largest below the normal numbers against the smallest of them, either way round
    assert.equal(run({ ...of('float16', Uint16Array.of(0x03ff, 0x0400)) }), '1');
    assert.equal(run({ ...of('float16', Uint16Array.of(0x0400, 0x03ff)) }), '0');
    // the upper halves of -2, 1.5, 1
    assert.equal(run({ ...of('bfloat16', Uint16Array.of(0xc000, 0x3fc0, 0x3f80)) }), '1');
    assert.throws(() => run(of('float16', Uint16Array.of(0x3c00, 0x7e00))), invalid(/NaN at class 1/));
  });

  it('reads scores that lie at an odd address', () => {
    const bytes = new Uint8Array(13);
    bytes.set(floats(1, 5, 3).data, 1);
    assert.equal(run({ dtype: 'float32', shape: [3], data: bytes.subarray(1) }), '1');
  });

  it('refuses what holds no answer', () => {
    assert.throws(() => run(floats(1, Number.NaN, 3)), invalid(/'logits' is NaN at class 1/));
    assert.throws(() => run(float32Tensor([2, 2], Float32Array.of(1, 2, 3, 4))), invalid(/\[2, 2\].*one row/));
    assert.throws(() => run(float32Tensor([1, 0], new Float32Array(0))), invalid(/one row/));
    assert.throws(() => run(floats(1, 2), { classes: ['only'] }), invalid(/class 1/));
    assert.throws(() => run(floats(1, 2), { top: 3 }), invalid(/2 scores, and the top 3/));
    assert.throws(
      () => postprocess(spec, [{ name: 'probabilities', tensor: floats(1) }]),
      invalid(/no output 'logits'.*probabilities/s),
    );
    const strings = { dtype: 'string', shape: [1], data: [Buffer.from('x')] } as const;
    assert.throws(() => postprocess(spec, [{ name: 'logits', tensor: strings }]), invalid(/strings/));
    assert.throws(() => postprocess({ kind: 'guess' } as unknown as PostprocessSpec, []), invalid(/argmax, digest, numbers/));
  });
});

describe('argmax of several', () => {
  it('gives them in the order of their scores, of equal ones the lowest index first', () => {
    assert.equal(run(floats(1, 7, 3, 7, 9), { top: 3 }), '["4","1","3"]');
    assert.equal(run(floats(3, 1, 2), { top: 3, classes: ['a', 'b "quoted"', 'c'] }), '["a","c","b \\"quoted\\""]');
    assert.deepEqual(rankedClasses(run(floats(3, 1, 2), { top: 2 })), ['0', '2']);
  });

  it('is as a sort has it, whatever the scores', () => {
    const random = new Random(5);
    for (let round = 0; round < 200; round++) {
      const scores = Array.from({ length: 1 + random.integer(12) }, () => random.integer(6));
      const top = 1 + random.integer(scores.length);
      const sorted = scores.map((score, i) => ({ score, i })).sort((a, b) => b.score - a.score || a.i - b.i);
      const want = sorted.slice(0, top).map(({ i }) => String(i));
      assert.deepEqual(rankedClasses(run(floats(...scores), { top })), want);
    }
  });

  it('takes a class for what it is, whatever its name', () => {
    for (const name of ['[x]', '["x', '"x"', '[]', '']) assert.deepEqual(rankedClasses(name), [name]);
  });
});

describe('numbers', () => {
  const of = (tensor: DenseTensor) => postprocess({ kind: 'numbers', output: 'logits' }, [{ name: 'logits', tensor }]);

  it('gives every element so that it can be read back', () => {
    const values = Float32Array.of(0.1, -1e-30, 16777217, 3.4e38, 0, 1 / 3);
    const back = parseNumbers(of(float32Tensor([2, 3], values)));
    assert.deepEqual(Float32Array.from(back ?? []), values);
    assert.equal(of({ dtype: 'int32', shape: [1, 2], data: new Uint8Array(Int32Array.of(-7, 12).buffer) }), '-7 12');
  });

  it('refuses what is no number, nothing, or too much', () => {
    assert.throws(() => of(floats(1, Number.NaN)), invalid(/'logits' is NaN at element 1/));
    assert.throws(() => of(floats(Number.POSITIVE_INFINITY)), invalid(/Infinity at element 0/));
    assert.throws(() => of(float32Tensor([1, 0], new Float32Array(0))), invalid(/has 0 elements/));
    assert.throws(() => of(float32Tensor([4097], new Float32Array(4097))), invalid(/4097 elements.*4096/));
    assert.throws(() => postprocess({ kind: 'numbers', output: 'y' }, [{ name: 'z', tensor: floats(1) }]), invalid(/no output 'y'.*z/s));
    for (const text of ['', 'a', '1 b', '1,2', 'Infinity']) assert.equal(parseNumbers(text), undefined, text);
  });
});

describe('digest', () => {
  const digest = (...outputs: Parameters<typeof postprocess>[1]) => postprocess({ kind: 'digest' }, outputs);

  it('is equal for equal outputs alone', () => {
    const base = digest({ name: 'y', tensor: floats(1, 2) });
    assert.match(base, /^[0-9a-f]{64}$/);
    assert.equal(digest({ name: 'y', tensor: floats(1, 2) }), base);
    const others = [
      digest({ name: 'y', tensor: floats(1, 2.0000002) }),
      digest({ name: 'z', tensor: floats(1, 2) }),
      digest({ name: 'y', tensor: float32Tensor([2], Float32Array.of(1, 2)) }),
      digest({ name: 'y', tensor: { ...floats(1, 2), dtype: 'int32' } }),
      digest({ name: 'y', tensor: { dtype: 'string', shape: [2], data: [Buffer.from('a'), Buffer.from('b')] } }),
      digest({ name: 'y', tensor: { dtype: 'string', shape: [2], data: [Buffer.from('ab'), Buffer.from('')] } }),
      digest(),
    ];
    assert.equal(new Set([base, ...others]).size, others.length + 1);
  });
});
