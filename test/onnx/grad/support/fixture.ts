import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { packageRoot } from '../../../../base/paths.js';

/** A tensor of a fixture: base64 of little-endian elements. */
export interface Stored {
  readonly shape: readonly number[];
  /** `int16`: float32 elements in parts of `UNIT`, which a third of the bytes hold exactly. */
  readonly type: 'float32' | 'int16' | 'int64' | 'bool';
  readonly data: string;
  readonly constant?: boolean;
}

const UNIT = 4096;

/** What bench/peers/grad_reference.py wrote: a file of test/onnx/grad/fixtures. */
export function readFixture<T>(file: string): T {
  const bytes = readFileSync(join(packageRoot, 'test/onnx/grad/fixtures', file));
  return JSON.parse(gunzipSync(bytes).toString('utf8')) as T;
}

/** Checks a tensor against PyTorch's: within 1e-4 of its largest element. */
export function assertNear(what: string, actual: Float32Array | undefined, stored: Stored): void {
  const expected = elementsOf(stored);
  assert.equal(actual?.length, expected.length, `${what} is there, with ${expected.length} elements`);
  const scale = Math.max(1e-3, ...expected.map(Math.abs));
  for (const [i, value] of expected.entries()) {
    const found = actual?.[i] as number;
    assert.ok(Math.abs(found - value) <= 1e-4 * scale, `element ${i} of ${what}: ${found}, in PyTorch ${value}`);
  }
}

export function elementsOf({ type, data }: Stored): Float32Array {
  // A copy, for a Buffer need not be aligned.
  const { buffer } = new Uint8Array(Buffer.from(data, 'base64'));
  if (type === 'int16') return Float32Array.from(new Int16Array(buffer), (value) => value / UNIT);
  if (type === 'bool') return Float32Array.from(new Uint8Array(buffer));
  if (type === 'int64') return Float32Array.from(new BigInt64Array(buffer), Number);
  return new Float32Array(buffer);
}
