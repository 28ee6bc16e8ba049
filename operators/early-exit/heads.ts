import type { GraphBuilder, Value } from '../../onnx/build.js';
import { headAccuracy, type LinearHead, ridge, type Samples } from '../../workloads/ridge.js';

/** Tried on the tuning part, from strong to weak. */
const LAMBDAS = [1, 0.3, 0.1, 0.03, 0.01];

export interface FittedHead {
  readonly head: LinearHead;
  readonly lambda: number;
  /** The share of the tuning items at whose class the head's highest score is, 0 to 1. */
  readonly accuracy: number;
}

/**
 * A linear head in closed form: ridge regression on the calibration items, its strength chosen on the tuning items (of
 * equals the stronger), its scores scaled so that as logits they are as likely as can be on these.
 *
 * @param fit features and classes of the calibration items
 * @param tune of the tuning items
 */
export function fitHead(fit: Samples, tune: Samples, classes: number): FittedHead {
  const headFor = ridge(fit, classes);
  const tried = LAMBDAS.map((lambda) => {
    const head = headFor(lambda);
    return { lambda, head, accuracy: headAccuracy(head, tune) };
  });
  const best = tried.reduce((a, b) => (b.accuracy > a.accuracy ? b : a));
  const scale = likeliestScale(scoresOf(best.head, tune), tune.classes, classes);
  return { ...best, head: scaled(best.head, scale) };
}

/** A head whose scores are so many times as large. */
export function scaled({ weights, bias }: LinearHead, scale: number): LinearHead {
  return { weights: weights.map((weight) => weight * scale), bias: bias.map((each) => each * scale) };
}

/** A head as it is built: linear, or with a layer before. */
export interface BuiltHead {
  readonly head: LinearHead;
  /** What the head takes in the place of the features, behind a Relu. */
  readonly hidden?: LinearHead;
}

/** Adds a head behind features [N, d]: scores [N, classes]. */
export function addHead(g: GraphBuilder, features: Value, { head, hidden }: BuiltHead, prefix: string): Value {
  if (!hidden) return addLinear(g, features, head, prefix, `${prefix}.scores`);
  const sums = addLinear(g, features, hidden, `${prefix}.hidden`, `${prefix}.hidden.sums`);
  return addLinear(g, g.node('Relu', [sums], {}, `${prefix}.hidden`), head, prefix, `${prefix}.scores`);
}

/** The weights that `addHead` adds. */
export function headWeights(prefix: string, hidden: boolean): readonly string[] {
  const layers = hidden ? [prefix, `${prefix}.hidden`] : [prefix];
  return layers.flatMap((layer) => [`${layer}.weight`, `${layer}.bias`]);
}

function addLinear(g: GraphBuilder, x: Value, { weights, bias }: LinearHead, prefix: string, output: string): Value {
  const classes = bias.length;
  const shape = [classes, weights.length / classes];
  const weight = g.weight(`${prefix}.weight`, shape, () => Float32Array.from(weights));
  const offset = g.weight(`${prefix}.bias`, [classes], () => Float32Array.from(bias));
  return g.node('Gemm', [x, weight, offset], { transB: 1 }, output);
}

/** As `scoresOf`, of a head that may have a layer before. */
export function headScores({ head, hidden }: BuiltHead, samples: Samples): Float64Array {
  if (!hidden) return scoresOf(head, samples);
  const features = Float32Array.from(scoresOf(hidden, samples), (sum) => Math.max(0, sum));
  return scoresOf(head, { features, classes: samples.classes });
}

/** Scores (n x classes, row-major). */
export function scoresOf({ weights, bias }: LinearHead, { features, classes }: Samples): Float64Array {
  const n = classes.length;
  const d = features.length / n;
  const scores = new Float64Array(n * bias.length);
  for (let row = 0; row < n; row++) {
    for (let k = 0; k < bias.length; k++) {
      let score = bias[k] as number;
      for (let j = 0; j < d; j++) score += (weights[k * d + j] as number) * (features[row * d + j] as number);
      scores[row * bias.length + k] = score;
    }
  }
  return scores;
}

/**
 * The factor on the scores that makes the classes most likely under softmax: temperature scaling (Guo et al., On
 * Calibration of Modern Neural Networks, ICML 2017), by golden-section search over its logarithm, in which the likelihood
 * has one maximum.
 */
export function likeliestScale(scores: Float64Array, classes: readonly number[], classCount: number): number {
  const golden = (Math.sqrt(5) - 1) / 2;
  let [low, high] = [Math.log(0.1), Math.log(1000)];
  const at = (log: number): number => logLikelihood(scores, classes, classCount, Math.exp(log));
  for (let step = 0; step < 40; step++) {
    const [a, b] = [high - golden * (high - low), low + golden * (high - low)];
    if (at(a) < at(b)) low = a;
    else high = b;
  }
  return Math.exp((low + high) / 2);
}

function logLikelihood(scores: Float64Array, classes: readonly number[], classCount: number, scale: number): number {
  let total = 0;
  for (const [row, chosen] of classes.entries()) {
    const own = scores.subarray(row * classCount, (row + 1) * classCount);
    const largest = own.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    let sum = 0;
    for (const score of own) sum += Math.exp(scale * (score - largest));
    total += scale * ((own[chosen] as number) - largest) - Math.log(sum);
  }
  return total;
}
