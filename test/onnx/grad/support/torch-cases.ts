import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { packageRoot } from '../../../../base/paths.js';
import { type AttributeInput, float, floats } from '../../../../onnx/build.js';
import type { Feed, OneNode } from '../../../support/one-node.js';
import { checkNode, type GradientOptions } from './check-gradient.js';

/** A tensor of a fixture: base64 of little-endian elements. */
interface Stored {
  readonly shape: readonly number[];
  /** `int16`: float32 elements in parts of `UNIT`, which a third of the bytes hold exactly. */
  readonly type: 'float32' | 'int16' | 'int64' | 'bool';
  readonly data: string;
  readonly constant?: boolean;
}

type StoredAttribute = number | string | readonly number[] | { readonly float: number } | { readonly floats: number[] };

/** One node, and PyTorch's gradients of sum(output * weight). */
export interface TorchCase {
  readonly name: string;
  readonly op: string;
  readonly opset?: number;
  readonly attributes: Readonly<Record<string, StoredAttribute>>;
  readonly inputs: readonly (Stored | null)[];
  /** What each output is multiplied with. */
  readonly weights: readonly Stored[];
  readonly loss: number;
  /** By input; null where there is none. */
  readonly gradients: readonly (Stored | null)[];
}

const UNIT = 4096;

/** Cases that bench/peers/grad_reference.py made: FILE of test/onnx/grad/fixtures. */
export function torchCases(file: string): readonly TorchCase[] {
  const bytes = readFileSync(join(packageRoot, 'test/onnx/grad/fixtures', file));
  return (JSON.parse(gunzipSync(bytes).toString('utf8')) as { cases: TorchCase[] }).cases;
}

/**
 * A test for every case of a fixture: the loss is PyTorch's, the gradients are within 1e-4 of the tensor's largest
 * element, and those of finite differences.
 */
export function testTorchCases(file: string, options: (each: TorchCase) => GradientOptions = () => ({})): void {
  for (const each of torchCases(file)) test(`${each.name}: gradients`, () => checkCase(each, options(each)));
}

async function checkCase(each: TorchCase, options: GradientOptions): Promise<void> {
  const node: OneNode = {
    op: each.op,
    ...(each.opset !== undefined && { opset: each.opset }),
    attributes: Object.fromEntries(Object.entries(each.attributes).map(([name, value]) => [name, attribute(value)])),
    inputs: each.inputs.map((input) => (input ? feedOf(input) : undefined)),
    outputs: each.weights.length,
  };
  const weights = Object.fromEntries(each.weights.map((weight, i) => [`out${i}`, elementsOf(weight)]));
  const run = await checkNode(node, { weights, ...options });
  assertLoss(run.outputs, weights, each.loss);
  for (const [i, gradient] of each.gradients.entries()) {
    if (gradient) assertNear(`the gradient by input ${i}`, run.gradients.get(`in${i}`), gradient);
  }
}

/** That a node is the one that PyTorch was asked about. */
function assertLoss(
  outputs: ReadonlyMap<string, Float32Array>,
  weights: Readonly<Record<string, Float32Array>>,
  expected: number,
): void {
  const terms = [...outputs].flatMap(([name, values]) =>
    Array.from(values, (value, i) => value * (weights[name]?.[i] as number)),
  );
  const loss = terms.reduce((sum, term) => sum + term, 0);
  const scale = terms.reduce((sum, term) => sum + Math.abs(term), 1e-3);
  assert.ok(Math.abs(loss - expected) <= 1e-4 * scale, `the loss is ${loss}, in PyTorch ${expected}`);
}

function assertNear(what: string, actual: Float32Array | undefined, stored: Stored): void {
  const expected = elementsOf(stored);
  assert.equal(actual?.length, expected.length, `${what} is there, with ${expected.length} elements`);
  const scale = Math.max(1e-3, ...expected.map(Math.abs));
  for (const [i, value] of expected.entries()) {
    const found = actual?.[i] as number;
    assert.ok(Math.abs(found - value) <= 1e-4 * scale, `element ${i} of ${what}: ${found}, in PyTorch ${value}`);
  }
}

function feedOf(stored: Stored): Feed {
  const dtype = stored.type === 'int64' || stored.type === 'bool' ? stored.type : 'float32';
  return { dtype, shape: stored.shape, value: [...elementsOf(stored)], constant: stored.constant ?? false };
}

function elementsOf({ type, data }: Stored): Float32Array {
  // A copy, for a Buffer need not be aligned.
  const { buffer } = new Uint8Array(Buffer.from(data, 'base64'));
  if (type === 'int16') return Float32Array.from(new Int16Array(buffer), (value) => value / UNIT);
  if (type === 'bool') return Float32Array.from(new Uint8Array(buffer));
  if (type === 'int64') return Float32Array.from(new BigInt64Array(buffer), Number);
  return new Float32Array(buffer);
}

function attribute(value: StoredAttribute): AttributeInput {
  if (typeof value !== 'object' || Array.isArray(value)) return value as AttributeInput;
  if ('float' in value) return float(value.float);
  return floats((value as { floats: number[] }).floats);
}
