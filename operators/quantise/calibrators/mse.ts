import { type Histogram, withoutZeros } from '../histogram.js';
import type { Range } from '../range.js';
import type { Calibrator } from './calibrator.js';

/** Between the least and the greatest of 256 levels. */
const STEPS = 255;

/** Places tried for each end that is clipped. */
const CANDIDATES = 256;

/**
 * The range with the smallest expected squared error of quantisation: that of rounding to levels a step apart, step^2 / 12
 * for values spread evenly between them, and that of clipping, summed over the histogram. The two are weighed as in R. Banner
 * et al., "Post training 4-bit quantization of convolutional networks" (NeurIPS 2019), with the distribution that was seen in
 * place of an assumed one, and both ends searched together.
 */
export const mse: Calibrator = {
  name: 'mse',
  needs: 'histogram',
  range(histogram) {
    const { range } = histogram;
    const counts = withoutZeros(histogram);
    const total = counts.reduce((a, b) => a + b, 0);
    const lows = range.min >= 0 ? [unclipped(range.min)] : lowEnds(counts, histogram);
    const highs = range.max <= 0 ? [unclipped(range.max)] : highEnds(counts, histogram);
    let best = range;
    let least = Number.POSITIVE_INFINITY;
    for (const low of lows) {
      for (const high of highs) {
        // As wide as it becomes once it includes 0.
        const step = (Math.max(0, high.at) - Math.min(0, low.at)) / STEPS;
        const error = low.error + high.error + ((total - low.clipped - high.clipped) * step * step) / 12;
        if (!(error < least)) continue;
        least = error;
        best = { min: low.at, max: high.at } satisfies Range;
      }
    }
    return best;
  },
};

/** A place for one end of the range. */
interface End {
  readonly at: number;
  /** How many values lie beyond it, and the sum of their squared distances. */
  readonly clipped: number;
  readonly error: number;
}

function unclipped(at: number): End {
  return { at, clipped: 0, error: 0 };
}

/** Upper ends from 0, or from the least value where that is above it, to the greatest value. */
function highEnds(counts: Float64Array, { low, width, range }: Histogram): End[] {
  const ends = [unclipped(range.max)];
  const zero = Math.max(0, Math.round(-low / width));
  const every = Math.max(1, Math.floor((counts.length - zero) / CANDIDATES));
  const beyond = new Moments();
  for (let bin = counts.length - 1; bin > zero; bin--) {
    beyond.add(counts[bin] as number, low + (bin + 0.5) * width);
    if ((bin - zero) % every === 0) ends.push(beyond.end(low + bin * width));
  }
  return ends;
}

/** Lower ends: the upper ends of the histogram's mirror image. */
function lowEnds(counts: Float64Array, { low, width, range }: Histogram): End[] {
  const mirrored = {
    ...{ counts, width, low: -(low + counts.length * width) },
    range: { min: -range.max, max: -range.min },
  };
  return highEnds(counts.toReversed(), mirrored).map((end) => ({ ...end, at: 0 - end.at }));
}

/** The first moments of what was added. */
class Moments {
  #count = 0;
  #sum = 0;
  #squares = 0;

  add(count: number, value: number): void {
    this.#count += count;
    this.#sum += count * value;
    this.#squares += count * value * value;
  }

  end(at: number): End {
    const error = this.#squares - 2 * at * this.#sum + at * at * this.#count;
    return { at, clipped: this.#count, error: Math.max(0, error) };
  }
}
