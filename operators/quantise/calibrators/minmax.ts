import type { Calibrator } from './calibrator.js';

/** From the least to the greatest value seen: nothing is clipped. */
export const minmax: Calibrator = { name: 'minmax', needs: 'extremes' };
