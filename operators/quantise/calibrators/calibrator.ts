import type { Histogram } from '../histogram.js';
import type { Range } from '../range.js';

/** The methods' own options; each method reads its own. */
export interface MethodOptions {
  /** `percentile`: the share of values, in percent, that stays within the range. */
  readonly percentile?: number;
}

/** How the values that a tensor took become its range: one file each in `operators/quantise/calibrators/`. */
export type Calibrator =
  /** Needs the least and the greatest value alone. */
  | { readonly name: string; readonly needs: 'extremes' }
  /** Needs the distribution. */
  | {
      readonly name: string;
      readonly needs: 'histogram';
      /**
       * The range of a tensor that took more than one value: never wider than what was seen, and at 0 where what was seen
       * begins or ends there.
       */
      range(histogram: Histogram, options: MethodOptions): Range;
    };
