import { TierbedError } from '../base/errors.js';

/** A linear classifier: scores = weights (classes x features, row-major) times features, plus bias. */
export interface LinearHead {
  readonly weights: Float64Array;
  readonly bias: Float64Array;
}

/** Feature rows (n x d, row-major) and the class of each. */
export interface Samples {
  readonly features: Float32Array;
  readonly classes: readonly number[];
}

/**
 * Ridge regression onto one-hot targets (Hoerl and Kennedy, Technometrics 1970), in double precision: the features are
 * centred and scaled to unit variance, then (X'X + lambda n I) W = X'Y is solved by Cholesky decomposition. What it gives
 * takes the features as they are. The sums over the samples are taken once for all lambdas.
 *
 * @returns a function from lambda (above 0) to the head
 */
export function ridge(samples: Samples, classCount: number): (lambda: number) => LinearHead {
  const n = samples.classes.length;
  const d = samples.features.length / n;
  const { mean, sd, scaled } = standardise(samples.features, n, d);
  const gram = gramMatrix(scaled, n, d);
  const share = new Float64Array(classCount);
  for (const k of samples.classes) share[k] = (share[k] as number) + 1 / n;
  const target = new Float64Array(d * classCount);
  for (let row = 0; row < n; row++) {
    for (let k = 0; k < classCount; k++) {
      const y = (samples.classes[row] === k ? 1 : 0) - (share[k] as number);
      for (let j = 0; j < d; j++)
        target[k * d + j] = (target[k * d + j] as number) + y * (scaled[row * d + j] as number);
    }
  }
  return (lambda) => {
    const factor = cholesky(gram, d, lambda * n);
    const weights = new Float64Array(classCount * d);
    const bias = Float64Array.from(share);
    for (let k = 0; k < classCount; k++) {
      const solution = solve(factor, d, target.subarray(k * d, (k + 1) * d));
      for (let j = 0; j < d; j++) {
        const weight = (solution[j] as number) / (sd[j] as number);
        weights[k * d + j] = weight;
        bias[k] = (bias[k] as number) - weight * (mean[j] as number);
      }
    }
    return { weights, bias };
  };
}

/** The share of the samples whose highest score is at their class. */
export function headAccuracy({ weights, bias }: LinearHead, { features, classes }: Samples): number {
  const d = features.length / classes.length;
  let right = 0;
  for (let row = 0; row < classes.length; row++) {
    let best = 0;
    let bestScore = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < bias.length; k++) {
      let score = bias[k] as number;
      for (let j = 0; j < d; j++) score += (weights[k * d + j] as number) * (features[row * d + j] as number);
      if (score > bestScore) [best, bestScore] = [k, score];
    }
    if (best === classes[row]) right++;
  }
  return right / classes.length;
}

/** Columns with mean 0 and variance 1; one that never changes becomes 0 and is left out by its scale of infinity. */
function standardise(features: Float32Array, n: number, d: number) {
  const mean = new Float64Array(d);
  const sd = new Float64Array(d);
  const scaled = new Float64Array(n * d);
  for (let j = 0; j < d; j++) {
    let sum = 0;
    for (let row = 0; row < n; row++) sum += features[row * d + j] as number;
    const m = sum / n;
    let squares = 0;
    for (let row = 0; row < n; row++) squares += ((features[row * d + j] as number) - m) ** 2;
    mean[j] = m;
    sd[j] = squares > 0 ? Math.sqrt(squares / n) : Number.POSITIVE_INFINITY;
    for (let row = 0; row < n; row++) {
      scaled[row * d + j] = ((features[row * d + j] as number) - m) / (sd[j] as number);
    }
  }
  return { mean, sd, scaled };
}

/** The lower triangle of X'X. */
function gramMatrix(x: Float64Array, n: number, d: number): Float64Array {
  const gram = new Float64Array(d * d);
  for (let row = 0; row < n; row++) {
    const at = row * d;
    for (let i = 0; i < d; i++) {
      const xi = x[at + i] as number;
      const line = i * d;
      for (let j = 0; j <= i; j++) gram[line + j] = (gram[line + j] as number) + xi * (x[at + j] as number);
    }
  }
  return gram;
}

/** L with L L' = A + shift I, from the lower triangle of A. */
function cholesky(a: Float64Array, d: number, shift: number): Float64Array {
  const l = new Float64Array(d * d);
  for (let i = 0; i < d; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = (a[i * d + j] as number) + (i === j ? shift : 0);
      for (let k = 0; k < j; k++) sum -= (l[i * d + k] as number) * (l[j * d + k] as number);
      if (i !== j) l[i * d + j] = sum / (l[j * d + j] as number);
      else if (sum > 0) l[i * d + i] = Math.sqrt(sum);
      else throw new TierbedError('internal', `ridge regression: the matrix is not positive definite at row ${i}`);
    }
  }
  return l;
}

/** x with L L' x = b. */
function solve(l: Float64Array, d: number, b: Float64Array): Float64Array {
  const x = Float64Array.from(b);
  for (let i = 0; i < d; i++) {
    let sum = x[i] as number;
    for (let k = 0; k < i; k++) sum -= (l[i * d + k] as number) * (x[k] as number);
    x[i] = sum / (l[i * d + i] as number);
  }
  for (let i = d - 1; i >= 0; i--) {
    let sum = x[i] as number;
    for (let k = i + 1; k < d; k++) sum -= (l[k * d + i] as number) * (x[k] as number);
    x[i] = sum / (l[i * d + i] as number);
  }
  return x;
}
