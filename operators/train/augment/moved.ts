import type { Augmentation } from './augmentation.js';
import { type Border, move, type Planes } from './planes.js';

/**
 * Moves all pictures of an item alike, by up to `most` in either direction, each as likely: rows first, then columns.
 * Those with one row move along the columns alone.
 */
export function moved(all: readonly [Planes, ...Planes[]], most: number, border: Border): Augmentation {
  const scratch = all.map(({ outer, rows, columns, inner }) => new Float32Array(outer * rows * columns * inner));
  return (slots, random) => {
    const down = all[0].rows === 1 ? 0 : random.integer(2 * most + 1) - most;
    const right = random.integer(2 * most + 1) - most;
    for (const [i, planes] of all.entries()) {
      const values = slots[planes.slot]?.values as Float32Array;
      const copy = scratch[i] as Float32Array;
      copy.set(values);
      move(values, copy, planes, down, right, border);
    }
  };
}
