import type { Misfit } from './operator.js';
import type { Step } from './variant.js';

/** The operators after which weights are no float32 any more: none of them can follow another. */
const OPERATORS = ['sptq', 'dynamic', 'fp16', 'qat'];

/** Why an operator that makes weights smaller cannot follow one that did. */
export function refuseSmallerWeights(previous: readonly Step[]): Misfit | undefined {
  const before = previous.find(({ operator }) => OPERATORS.includes(operator));
  if (!before) return undefined;
  return { reason: `the weights are no float32 any more after ${before.operator}` };
}
