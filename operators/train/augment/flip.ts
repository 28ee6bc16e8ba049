import type { Slot } from '../batch-inputs.js';
import type { Augmentation } from './augmentation.js';
import { type Planes, pictures } from './planes.js';

/** Mirrors every other picture, left to right. */
export function flip(form: readonly Slot[]): Augmentation {
  const all = pictures(form, 'flip');
  return (slots, random) => {
    if (random.integer(2) === 0) return;
    for (const planes of all) mirror(slots[planes.slot]?.values as Float32Array, planes);
  };
}

function mirror(values: Float32Array, { outer, rows, columns, inner }: Planes): void {
  for (let row = 0; row < outer * rows; row++) {
    const start = row * columns * inner;
    for (let left = 0, right = columns - 1; left < right; left++, right--) {
      for (let i = 0; i < inner; i++) {
        const [a, b] = [start + left * inner + i, start + right * inner + i];
        const kept = values[a] as number;
        values[a] = values[b] as number;
        values[b] = kept;
      }
    }
  }
}
