import { type Histogram, withoutZeros } from '../histogram.js';
import type { Range } from '../range.js';
import type { Calibrator } from './calibrator.js';

/** What 8 bits can tell apart. */
const LEVELS = 256;

/** Bins between one candidate and the next. */
const STEP = 8;

/**
 * Of the values that are not 0, no more than this share is cut off: more is no outlier. Channels that are constant leave
 * spikes, which levels of any width blur; a range of half the width blurs them less, and would win at the cost of what
 * it cuts off.
 */
const MOST_CLIPPED = 0.001;

/** A count for bins that quantisation leaves empty: the divergence would be infinite. */
const EMPTY = 1e-4;

/**
 * The range that loses the least information: of candidates, that whose quantised distribution has the smallest
 * Kullback-Leibler divergence from the one seen, with what is clipped counted at the ends (S. Migacz, "8-bit inference with
 * TensorRT", GTC 2017). There the candidates are thresholds of the magnitude, over 128 levels; here the values keep their
 * sign, over 256 levels, because activations are quantised with a zero point.
 */
export const entropy: Calibrator = {
  name: 'entropy',
  needs: 'histogram',
  range(histogram) {
    const { low, width, range } = histogram;
    const sums = new Sums(withoutZeros(histogram));
    let best: Range = range;
    let least = Number.POSITIVE_INFINITY;
    for (const [from, to] of candidates(histogram)) {
      if (sums.clipped(from, to) > MOST_CLIPPED) continue;
      const divergence = sums.divergence(from, to);
      if (!(divergence < least)) continue;
      least = divergence;
      best = { min: Math.max(range.min, low + from * width), max: Math.min(range.max, low + to * width) };
    }
    return best;
  },
};

/** Ranges of bins, [from, to), that have more bins than there are levels; the last is the whole. */
function* candidates({ counts, low, width, range }: Histogram): Generator<readonly [number, number]> {
  const bins = counts.length;
  // Where a range begins or ends at 0, or never reaches it, only the other end is clipped.
  const zero = range.min >= 0 ? 0 : range.max <= 0 ? bins : Math.round(-low / width);
  const largest = Math.max(zero, bins - zero);
  for (let threshold = STEP; threshold < largest; threshold += STEP) {
    const from = Math.max(0, zero - threshold);
    const to = Math.min(bins, zero + threshold);
    if (to - from > LEVELS) yield [from, to];
  }
  yield [0, bins];
}

/** Sums over the first bins, so that those of any range of bins are a difference of two. */
class Sums {
  readonly #counts: Float64Array;
  readonly #mass: Float64Array;
  readonly #filled: Float64Array;
  /** Of c log c. */
  readonly #logs: Float64Array;

  constructor(counts: Float64Array) {
    this.#counts = counts;
    this.#mass = summed(counts, (count) => count);
    this.#filled = summed(counts, (count) => (count > 0 ? 1 : 0));
    this.#logs = summed(counts, logTerm);
  }

  /** The share of what is counted that lies outside bins [from, to). */
  clipped(from: number, to: number): number {
    const total = this.#mass[this.#mass.length - 1] as number;
    return 1 - ((this.#mass[to] as number) - (this.#mass[from] as number)) / total;
  }

  /**
   * KL(P || Q). P is the counts in bins [from, to), with those outside added to the first and the last bin. Q is the counts
   * in these bins merged into levels, each level's spread evenly over its bins that are not empty.
   */
  divergence(from: number, to: number): number {
    const mass = this.#mass;
    const total = mass[mass.length - 1] as number;
    const inside = (mass[to] as number) - (mass[from] as number);
    if (inside === 0) return Number.POSITIVE_INFINITY;
    const below = mass[from] as number;
    const above = total - (mass[to] as number);
    const first = this.#counts[from] as number;
    const last = this.#counts[to - 1] as number;
    const ownLogs = (this.#logs[to] as number) - (this.#logs[from] as number);
    const logP = ownLogs - logTerm(first) - logTerm(last) + logTerm(first + below) + logTerm(last + above);
    let logQ = 0;
    for (let level = 0, start = from; level < LEVELS; level++) {
      const end = from + Math.floor(((level + 1) * (to - from)) / LEVELS);
      const here = (mass[end] as number) - (mass[start] as number);
      const bins = (this.#filled[end] as number) - (this.#filled[start] as number);
      if (here > 0) logQ += here * Math.log(here / bins);
      if (start === from && below > 0) logQ += below * Math.log(first > 0 ? here / bins : EMPTY);
      if (end === to && above > 0) logQ += above * Math.log(last > 0 ? here / bins : EMPTY);
      start = end;
    }
    return (logP - logQ) / total - Math.log(total) + Math.log(inside);
  }
}

function logTerm(count: number): number {
  return count > 0 ? count * Math.log(count) : 0;
}

function summed(counts: Float64Array, term: (count: number) => number): Float64Array {
  const sums = new Float64Array(counts.length + 1);
  for (let i = 0; i < counts.length; i++) sums[i + 1] = (sums[i] as number) + term(counts[i] as number);
  return sums;
}
