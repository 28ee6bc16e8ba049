/** From here on the normal approximation of the binomial is used; below, the sum is exact. */
const EXACT_UP_TO = 1000;

/** 97.5 % point of the standard normal distribution. */
const Z_975 = 1.959963984540054;

/**
 * A distribution-free 95 % confidence interval of the median, from order statistics (Hahn and Meeker, Statistical
 * Intervals, section 5.2): the narrowest symmetric pair x(k), x(n+1-k) whose coverage by Binomial(n, 1/2) is at
 * least 95 %. The values must be independent.
 *
 * @param sorted values in ascending order
 * @returns undefined for fewer than six values, where no pair covers 95 %
 */
export function medianInterval95(sorted: ArrayLike<number>): readonly [number, number] | undefined {
  const k = lowerRank(sorted.length);
  if (k === 0) return undefined;
  return [sorted[k - 1] as number, sorted[sorted.length - k] as number];
}

/** The largest rank k with 2 P(Binomial(n, 1/2) < k) <= 5 %; 0 when there is none. */
function lowerRank(n: number): number {
  if (n > EXACT_UP_TO) return Math.floor((n - Z_975 * Math.sqrt(n)) / 2);
  let term = 0.5 ** n; // P(X = 0)
  let below = 0; // P(X < k)
  let k = 0;
  while (k <= n && 2 * (below + term) <= 0.05) {
    below += term;
    term *= (n - k) / (k + 1);
    k++;
  }
  return k;
}
