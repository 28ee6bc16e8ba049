import type { Slot } from '../batch-inputs.js';
import type { Augmentation } from './augmentation.js';
import { refused } from './planes.js';

/** Adds normally distributed noise to every float32 input; the deviation is in the unit of what the model takes. */
export function noise({ deviation }: { readonly deviation: number }, form: readonly Slot[]): Augmentation {
  if (!form.some(({ values }) => values instanceof Float32Array)) throw refused(form, 'noise', 'float32 inputs');
  return (slots, random) => {
    for (const { values } of slots) {
      if (!(values instanceof Float32Array)) continue;
      for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) + random.normal(0, deviation);
    }
  };
}
