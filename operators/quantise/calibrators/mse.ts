import { type Histogram, withoutZeros } from '../histogram.js';
import type { Range } from '../range.js';
import type { Calibrator } from './calibrator.js';

/** Between the least and the greatest of 256 levels. */
const STEPS = 255;

/** Places tried for an end, evenly spread between 0 and what was seen. */
const PLACES = 64;

/** Each round moves both ends; more than two change little. */
const ROUNDS = 3;

/**
 * The range with the smallest squared error of quantising what was seen to 256 levels, of rounding and of clipping together,
 * each bin taken as its centre. The ends are searched in turn, each with the other where it was found best.
 */
export const mse: Calibrator = {
  name: 'mse',
  needs: 'histogram',
  range(histogram) {
    const values = new Values(histogram);
    const { range } = histogram;
    let best: Range = range;
    for (let round = 0; round < ROUNDS; round++) {
      const before = best;
      if (range.max > 0) best = values.best(places(range.max, range.min).map((max) => ({ min: before.min, max })));
      if (range.min < 0) best = values.best(places(range.min, range.max).map((min) => ({ min, max: best.max })));
      if (best.min === before.min && best.max === before.max) break;
    }
    return best;
  },
};

/** From what was seen towards 0, or towards the other end where that is on the same side of 0. */
function places(seen: number, other: number): number[] {
  const nearest = Math.sign(seen) === Math.sign(other) ? other : 0;
  return Array.from({ length: PLACES }, (_, i) => seen + ((nearest - seen) * i) / PLACES);
}

/** What was seen, as the centres of the bins that are not empty and how often each came. */
class Values {
  readonly #centres: Float64Array;
  readonly #counts: Float64Array;

  constructor(histogram: Histogram) {
    const counts = withoutZeros(histogram);
    const filled = [...counts.keys()].filter((bin) => (counts[bin] as number) > 0);
    this.#centres = Float64Array.from(filled, (bin) => histogram.low + (bin + 0.5) * histogram.width);
    this.#counts = Float64Array.from(filled, (bin) => counts[bin] as number);
  }

  /** The range with the smallest error; of equal ones the first. */
  best(ranges: readonly Range[]): Range {
    const errors = ranges.map((range) => this.#error(range));
    return ranges[errors.indexOf(Math.min(...errors))] as Range;
  }

  /** The summed squared error with levels over a range that is made to include 0, of which one is 0. */
  #error({ min, max }: Range): number {
    const centres = this.#centres;
    const counts = this.#counts;
    const step = (Math.max(0, max) - Math.min(0, min)) / STEPS;
    const least = Math.round(Math.min(0, min) / step);
    const greatest = least + STEPS;
    let error = 0;
    for (let i = 0; i < centres.length; i++) {
      const value = centres[i] as number;
      const level = Math.min(greatest, Math.max(least, Math.round(value / step)));
      const off = value - level * step;
      error += (counts[i] as number) * off * off;
    }
    return error;
  }
}
