/** Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: absolute error below 1.5e-7. */
function erf(x: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - poly * Math.exp(-x * x));
}

/**
 * Mean and standard deviation of max(0, X) for a normal X: what a jittered delay really is, as none is negative.
 *
 * For X ~ N(m, s): E = m F(m/s) + s f(m/s) and E2 = (m^2 + s^2) F(m/s) + m s f(m/s), F and f the standard normal's.
 */
export function clippedNormal(mean: number, sd: number): { readonly mean: number; readonly sd: number } {
  if (sd === 0) return { mean: Math.max(0, mean), sd: 0 };
  const z = mean / sd;
  const cumulative = 0.5 * (1 + erf(z / Math.SQRT2));
  const density = Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI);
  const first = mean * cumulative + sd * density;
  const second = (mean * mean + sd * sd) * cumulative + mean * sd * density;
  return { mean: first, sd: Math.sqrt(Math.max(0, second - first * first)) };
}
