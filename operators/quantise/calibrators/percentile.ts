import type { Histogram } from '../histogram.js';
import type { Calibrator } from './calibrator.js';

/** In percent. */
const DEFAULT = 99.99;

/**
 * The range that a share of the values lies in. What is cut off is the same share at either end; where the values begin
 * or end at 0, as they do behind a Relu, it is all at the other end.
 */
export const percentile: Calibrator = {
  name: 'percentile',
  needs: 'histogram',
  range(histogram, { percentile = DEFAULT }) {
    const { min, max } = histogram.range;
    const cut = 1 - percentile / 100;
    if (min >= 0) return { min, max: quantile(histogram, 1 - cut) };
    if (max <= 0) return { min: quantile(histogram, cut), max };
    return { min: quantile(histogram, cut / 2), max: quantile(histogram, 1 - cut / 2) };
  },
};

/** The value that a share of all values is below, as if those of a bin were spread evenly over it. */
function quantile({ counts, low, width, range }: Histogram, share: number): number {
  const target = share * counts.reduce((a, b) => a + b, 0);
  let below = 0;
  let bin = 0;
  while (bin < counts.length - 1 && below + (counts[bin] as number) < target) below += counts[bin++] as number;
  const value = low + width * (bin + (target - below) / (counts[bin] as number));
  return Math.min(range.max, Math.max(range.min, value));
}
