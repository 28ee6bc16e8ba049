import { Random } from '../../../base/random.js';
import type { Slot } from '../batch-inputs.js';
import type { AugmentSpec } from '../types.js';
import type { Augmentation } from './augmentation.js';

/** Augments an item that stands in its slots. @param epoch from 0 */
export type Augment = (slots: readonly Slot[], id: string, epoch: number) => void;

/**
 * Augmentations one after the other, the same for the same seed, epoch and item, in whatever batch it is.
 *
 * @param form slots of any item, for the shapes
 * @throws TierbedError `invalid` for one that fits none of the inputs
 */
export function augmenter(specs: readonly AugmentSpec[], form: readonly Slot[], seed: number): Augment {
  const all = specs.map((spec) => create(spec, form));
  if (all.length === 0) return () => {};
  const seeded = new Random(seed);
  return (slots, id, epoch) => {
    const random = seeded.fork(`augment ${epoch} ${id}`);
    for (const augment of all) augment(slots, random);
  };
}

function create(_spec: AugmentSpec, _form: readonly Slot[]): Augmentation {
  throw new Error('not yet');
}
