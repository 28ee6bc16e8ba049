import type { Range } from './range.js';

/** How often a tensor took values, in bins of one width. */
export interface Histogram {
  /** How many values each bin holds; the first and the last are not empty. */
  readonly counts: Float64Array;
  /** The lower edge of the first bin. */
  readonly low: number;
  /** Of one bin. */
  readonly width: number;
  /** The least and the greatest value. */
  readonly range: Range;
}
