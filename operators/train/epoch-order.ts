import { Random } from '../../base/random.js';

/**
 * The order of a part's items in an epoch: shuffled anew in each, the same for the same seed.
 *
 * @param epoch from 0
 */
export function epochOrder(items: number, seed: number, epoch: number): readonly number[] {
  return new Random(seed).fork(`order ${epoch}`).shuffle(Array.from({ length: items }, (_, i) => i));
}

/**
 * Steps in an epoch. The items left over at its end, fewer than a batch, are dropped: the next epoch has another order,
 * so these are others each time.
 */
export function stepsPerEpoch(items: number, batch: number): number {
  return Math.floor(items / batch);
}
