/**
 * The counts between which a binomial variable lies with at least this probability: below and above lie at most half of the
 * rest each.
 *
 * @param n trials; @param p chance of each, 0 to 1; @param probability e.g. 0.999
 */
export function binomialRange(
  n: number,
  p: number,
  probability: number,
): { readonly low: number; readonly high: number } {
  if (p <= 0) return { low: 0, high: 0 };
  if (p >= 1) return { low: n, high: n };
  const tail = (1 - probability) / 2;
  let logChance = n * Math.log1p(-p);
  const logOdds = Math.log(p) - Math.log1p(-p);
  let below = 0;
  let low = -1;
  for (let count = 0; count <= n; count++) {
    below += Math.exp(logChance);
    if (low < 0 && below > tail) low = count;
    if (below >= 1 - tail) return { low, high: count };
    logChance += Math.log((n - count) / (count + 1)) + logOdds;
  }
  return { low: Math.max(0, low), high: n };
}
