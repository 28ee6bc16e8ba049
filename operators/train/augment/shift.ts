import type { Slot } from '../batch-inputs.js';
import type { Augmentation } from './augmentation.js';
import { moved } from './moved.js';
import { picturesOrSeries } from './planes.js';

/** Moves a picture, or a series in time, by up to so many pixels; what was at the edge is repeated. */
export function shift({ pixels }: { readonly pixels: number }, form: readonly Slot[]): Augmentation {
  return moved(picturesOrSeries(form, 'shift'), pixels, 'edge');
}
