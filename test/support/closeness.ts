import type { Tensors } from './run-model.js';

/**
 * The largest difference between two results in parts of the largest magnitude of the tensor it is in; Infinity when
 * names, types or shapes differ, or one has a number where the other has none.
 */
export function relativeDifference(expected: Tensors, actual: Tensors): number {
  const names = Object.keys(expected);
  if (names.length !== Object.keys(actual).length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (const name of names) {
    const [a, b] = [expected[name], actual[name]];
    if (!a || !b || a.type !== b.type || a.dims.join() !== b.dims.join()) return Number.POSITIVE_INFINITY;
    const [x, y] = [a, b].map(({ data }) => Array.from(data as ArrayLike<number | bigint>, Number)) as [
      number[],
      number[],
    ];
    let magnitude = 0;
    let difference = 0;
    for (const [i, value] of x.entries()) {
      const other = y[i] as number;
      if (Object.is(value, other)) continue;
      if (!Number.isFinite(value - other)) return Number.POSITIVE_INFINITY;
      difference = Math.max(difference, Math.abs(value - other));
    }
    for (const value of x) magnitude = Math.max(magnitude, Math.abs(value));
    if (difference > 0) worst = Math.max(worst, difference / Math.max(magnitude, Number.MIN_VALUE));
  }
  return worst;
}
