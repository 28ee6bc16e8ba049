import type { Slot } from '../batch-inputs.js';
import type { Augmentation } from './augmentation.js';
import { moved } from './moved.js';
import { pictures } from './planes.js';

/**
 * A crop of the picture's own size out of the picture with a border of zeros around it (as the model takes it, so zero is
 * the mean where the preprocessing subtracts one): He et al., arXiv:1512.03385, section 4.2.
 */
export function crop({ pad }: { readonly pad: number }, form: readonly Slot[]): Augmentation {
  return moved(pictures(form, 'crop'), pad, 'zero');
}
