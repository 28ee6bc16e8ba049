import type { OwnWorkload } from '../own-workload.js';
import { loadPictures } from './load.js';

/** Seeded pictures of ten kinds and a small residual network: see docs/workloads.md. */
export const pictures: OwnWorkload = {
  name: 'pictures',
  load: loadPictures,
};
