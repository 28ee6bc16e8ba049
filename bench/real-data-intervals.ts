// Means over seeds and how sure they are: Student's t, as a few seeds are no normal distribution.

/** 97.5 % quantiles of Student's t by degrees of freedom, from 1 (any table of it). */
const T = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131];
const T_OF_MANY = 1.96;

/** A mean and half of its 95 % interval; the half is null of one value. */
export interface Mean {
  readonly mean: number;
  readonly half: number | null;
  readonly n: number;
}

/** @param values at least one */
export function meanOf(values: readonly number[]): Mean {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  return { mean, half: n < 2 ? null : tQuantile(n - 1) * Math.sqrt(variance(values) / n), n };
}

/**
 * The difference of two means, a - b, with half of its 95 % interval: of unequal variances (Welch, Biometrika 34, 1947).
 * The half is null where either has one value.
 */
export function differenceOf(a: readonly number[], b: readonly number[]): { mean: number; half: number | null } {
  const mean = meanOf(a).mean - meanOf(b).mean;
  if (a.length < 2 || b.length < 2) return { mean, half: null };
  const [va, vb] = [variance(a) / a.length, variance(b) / b.length];
  if (va + vb === 0) return { mean, half: 0 };
  const freedom = (va + vb) ** 2 / (va ** 2 / (a.length - 1) + vb ** 2 / (b.length - 1));
  return { mean, half: tQuantile(freedom) * Math.sqrt(va + vb) };
}

/** Of the values' own distribution, from a sample: divided by n - 1. */
function variance(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
}

/** Between whole degrees of freedom in a line over their inverse, as it is almost straight there. @param freedom from 1 */
function tQuantile(freedom: number): number {
  const at = (n: number): number => T[n - 1] ?? T_OF_MANY + 2.4 / n;
  const low = Math.floor(freedom);
  if (low === freedom) return at(low);
  const share = (1 / low - 1 / freedom) / (1 / low - 1 / (low + 1));
  return at(low) + share * (at(low + 1) - at(low));
}
