import type { Range } from './range.js';

/** How often a tensor took values, in bins of one width. Where 0 is within the range, it is the lower edge of a bin. */
export interface Histogram {
  /** How many values each bin holds; the first and the last are not empty. */
  readonly counts: Float64Array;
  /** The lower edge of the first bin. */
  readonly low: number;
  /** Of one bin: a power of two. */
  readonly width: number;
  /** The least and the greatest value. */
  readonly range: Range;
}

/** Between half of these and all of them cover the range. */
const BINS = 4096;

/** The distance of the closest float32 numbers. */
const FINEST = 2 ** -149;

/**
 * Gathers a histogram of float32 values as they come, in memory that does not grow with them and in one pass over them.
 *
 * Bins have a power of two as their width and begin at its multiples, so that bins of twice the width are pairs of them:
 * values beyond the range make the bins as much wider as it takes, and no count is moved into a bin where it does not
 * belong.
 */
export class HistogramBuilder {
  #counts = new Float64Array(BINS);
  #width = FINEST;
  /** The lower edge of `#counts[0]` is this many widths from 0. */
  #first = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;

  /** @returns false, and nothing is added, when one of the values is NaN or infinite */
  add(values: Float32Array): boolean {
    let min = this.#min;
    let max = this.#max;
    // Stays 0 while all is finite: a NaN or an infinite number times 0 is NaN.
    let check = 0;
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number;
      if (value < min) min = value;
      if (value > max) max = value;
      check += value * 0;
    }
    if (check !== 0) return false;
    if (values.length === 0) return true;
    if (min < this.#min || max > this.#max) this.#cover(min, max);
    const counts = this.#counts;
    const scale = 1 / this.#width;
    const first = this.#first;
    for (let i = 0; i < values.length; i++) {
      const bin = (Math.floor((values[i] as number) * scale) - first) | 0;
      counts[bin] = (counts[bin] as number) + 1;
    }
    return true;
  }

  /** What was added; undefined when nothing was. */
  histogram(): Histogram | undefined {
    if (!(this.#min <= this.#max)) return undefined;
    const from = Math.floor(this.#min / this.#width);
    const to = Math.floor(this.#max / this.#width);
    return {
      counts: this.#counts.slice(from - this.#first, to - this.#first + 1),
      low: from * this.#width,
      width: this.#width,
      // No -0.
      range: { min: this.#min + 0, max: this.#max + 0 },
    };
  }

  /** Widens the bins by as much as it takes for them to hold values from `min` to `max`, and moves them there. */
  #cover(min: number, max: number): void {
    let width = this.#width;
    while (Math.floor(max / width) - Math.floor(min / width) >= BINS) width *= 2;
    const from = Math.floor(min / width);
    const to = Math.floor(max / width);
    const isInside = from >= this.#first && to < this.#first + BINS;
    if (width > this.#width || !isInside) {
      // As much room below as above, for what comes.
      const first = from - Math.floor((BINS - 1 - (to - from)) / 2);
      const counts = new Float64Array(BINS);
      const times = width / this.#width;
      for (let i = 0; i < BINS; i++) {
        const count = this.#counts[i] as number;
        if (count === 0) continue;
        const bin = Math.floor((this.#first + i) / times) - first;
        counts[bin] = (counts[bin] as number) + count;
      }
      this.#counts = counts;
      this.#width = width;
      this.#first = first;
    }
    this.#min = min;
    this.#max = max;
  }
}

/**
 * The counts with no more in the bin of 0 than its fuller neighbour holds. Quantisation represents 0 exactly, so the many
 * zeros that a Relu leaves are no reason to choose one range over another, and would outweigh all that is.
 */
export function withoutZeros({ counts, low, width, range }: Histogram): Float64Array {
  const zero = Math.round(-low / width);
  if (range.min > 0 || range.max < 0) return counts;
  const levelled = counts.slice();
  levelled[zero] = Math.min(counts[zero] as number, Math.max(counts[zero - 1] ?? 0, counts[zero + 1] ?? 0));
  return levelled;
}
