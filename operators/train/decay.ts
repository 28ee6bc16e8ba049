import type { Model } from '../../onnx/model.js';
import { fitting } from './name-patterns.js';

/** Operators that multiply with a weight: position of the weight's operand by type. */
const PRODUCTS: Readonly<Record<string, readonly number[]>> = {
  Conv: [1],
  ConvTranspose: [1],
  Gemm: [0, 1],
  MatMul: [0, 1],
};

/**
 * The weights that decay: all but those that patterns name. Without patterns, all but biases and the scales of
 * normalisations, as is usual: weights with one axis at most that is longer than 1, unless a product takes them.
 *
 * @throws TierbedError `invalid` when a pattern fits no weight
 */
export function decayingWeights(
  { graph }: Model,
  weights: readonly string[],
  noDecay: readonly string[] | undefined,
): ReadonlySet<string> {
  if (noDecay) {
    const kept = fitting(weights, noDecay, 'optimizer.noDecay');
    return new Set(weights.filter((name) => !kept.has(name)));
  }
  const operands = new Set(
    graph.nodes.flatMap(({ opType, inputs }) => (PRODUCTS[opType] ?? []).map((position) => inputs[position] ?? '')),
  );
  const dims = new Map(graph.initializers.map((each) => [each.name, each.dims]));
  const isVector = (name: string): boolean => (dims.get(name) ?? []).filter((size) => size > 1).length <= 1;
  return new Set(weights.filter((name) => operands.has(name) || !isVector(name)));
}
