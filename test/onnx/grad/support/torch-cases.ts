import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AttributeInput, float, floats } from '../../../../onnx/build.js';
import type { Model } from '../../../../onnx/model.js';
import { type Feed, type OneNode, oneNodeModel } from '../../../support/one-node.js';
import { checkGradient, type GradientOptions, tensorsOf } from './check-gradient.js';
import { assertNear, elementsOf, readFixture, type Stored } from './fixture.js';

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

/**
 * A test for every case of a fixture: the loss is PyTorch's, the gradients are within 1e-4 of the tensor's largest
 * element, and those of finite differences.
 *
 * @param modelOf what is differentiated: the node unless told
 */
export function testTorchCases(
  file: string,
  options: (each: TorchCase) => GradientOptions = () => ({}),
  modelOf: (node: OneNode) => Model = oneNodeModel,
): void {
  const { cases } = readFixture<{ cases: readonly TorchCase[] }>(file);
  for (const each of cases) test(`${each.name}: gradients`, () => checkCase(each, options(each), modelOf));
}

async function checkCase(each: TorchCase, options: GradientOptions, modelOf: (node: OneNode) => Model): Promise<void> {
  const node: OneNode = {
    op: each.op,
    opset: each.opset ?? 18,
    attributes: Object.fromEntries(Object.entries(each.attributes).map(([name, value]) => [name, attribute(value)])),
    inputs: each.inputs.map((input) => (input ? feedOf(input) : undefined)),
    outputs: each.weights.length,
  };
  const weights = Object.fromEntries(each.weights.map((weight, i) => [`out${i}`, elementsOf(weight)]));
  const run = await checkGradient(modelOf(node), tensorsOf(node), { weights, ...options });
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

function feedOf(stored: Stored): Feed {
  const dtype = stored.type === 'int64' || stored.type === 'bool' ? stored.type : 'float32';
  return { dtype, shape: stored.shape, value: [...elementsOf(stored)], constant: stored.constant ?? false };
}

function attribute(value: StoredAttribute): AttributeInput {
  if (typeof value !== 'object' || Array.isArray(value)) return value as AttributeInput;
  if ('float' in value) return float(value.float);
  return floats((value as { floats: number[] }).floats);
}
