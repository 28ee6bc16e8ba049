import type { Random } from '../../../base/random.js';
import type { Slot } from '../batch-inputs.js';

/**
 * Changes an item's inputs in place: one file each, and a line in `index.ts`. What it draws depends on the seed, the
 * epoch and the item alone.
 */
export type Augmentation = (slots: readonly Slot[], random: Random) => void;
