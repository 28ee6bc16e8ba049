import type { Misfit } from './operator.js';
import type { Step } from './variant.js';

/** The operators after which weights are no float32 any more, and what they are then. */
const STORED: Readonly<Record<string, string>> = {
  sptq: 'int8',
  dynamic: 'int8',
  fp16: 'float16',
  qat: 'int8',
};

/**
 * For the `after` of an operator that trains: gradients are of float32 weights, so it cannot follow one that leaves none.
 *
 * @param why replaces the reason where the operator has a better one
 */
export function refuseLowPrecision(
  why?: (stored: string) => string,
): (previous: readonly Step[]) => Misfit | undefined {
  return (previous) => {
    const before = previous.find(({ operator }) => Object.hasOwn(STORED, operator));
    if (!before) return undefined;
    const stored = STORED[before.operator] as string;
    return {
      reason: why?.(stored) ?? `it trains float32 weights, and ${before.operator} has stored them as ${stored}`,
    };
  };
}
