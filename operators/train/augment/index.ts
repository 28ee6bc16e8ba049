import { Random } from '../../../base/random.js';
import type { Slot } from '../batch-inputs.js';
import type { AugmentSpec } from '../types.js';
import type { Augmentation } from './augmentation.js';
import { crop } from './crop.js';
import { flip } from './flip.js';
import { noise } from './noise.js';
import { shift } from './shift.js';
import { tokenDropout } from './token-dropout.js';

/** Augments an item that stands in its slots. @param epoch from 0 */
export type Augment = (slots: readonly Slot[], id: string, epoch: number) => void;

/** The augmentations there are, by the spec's `kind`: a new one is a file here and a line below. */
const AUGMENTATIONS: {
  readonly [K in AugmentSpec['kind']]: (spec: Extract<AugmentSpec, { kind: K }>, form: readonly Slot[]) => Augmentation;
} = {
  crop,
  flip: (_, form) => flip(form),
  shift,
  noise,
  'token-dropout': tokenDropout,
};

/**
 * Augmentations one after the other, the same for the same seed, epoch and item, in whatever batch it is.
 *
 * @param form slots of any item, for the shapes
 * @throws TierbedError `invalid` for one that fits none of the inputs
 */
export function augmenter(specs: readonly AugmentSpec[], form: readonly Slot[], seed: number): Augment {
  const all = specs.map((spec) => {
    const create = AUGMENTATIONS[spec.kind] as (spec: AugmentSpec, form: readonly Slot[]) => Augmentation;
    return create(spec, form);
  });
  if (all.length === 0) return () => {};
  const seeded = new Random(seed);
  return (slots, id, epoch) => {
    const random = seeded.fork(`augment ${epoch} ${id}`);
    for (const augment of all) augment(slots, random);
  };
}
