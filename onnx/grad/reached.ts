import type { Value } from '../build.js';
import type { GradNode } from './grad-node.js';
import { extentOf, type Window } from './window.js';

/** Cells at the end of each axis of a padded picture that no place of the window reaches. */
export function unreached(picture: readonly number[], places: readonly number[], window: Window): readonly number[] {
  return window.kernel.map((_, axis) => {
    const reach = ((places[axis + 2] as number) - 1) * (window.strides[axis] as number) + extentOf(window, axis);
    return (picture[axis + 2] as number) + (window.begins[axis] as number) + (window.ends[axis] as number) - reach;
  });
}

/**
 * A picture without ends on which a window would find one place more, as the result of a ConvTranspose has them when it
 * is padded by more than the stride.
 *
 * @param shapes of the picture and of the places of the window: [N, channels, sizes]
 */
export function reachedPart(
  at: GradNode,
  picture: Value,
  shapes: { readonly picture: readonly number[]; readonly places: readonly number[] },
  window: Window,
): Value {
  const spare = unreached(shapes.picture, shapes.places, window);
  if (spare.every((cells, axis) => cells < (window.strides[axis] as number))) return picture;
  const stops = spare.map((cells, axis) => (shapes.picture[axis + 2] as number) - cells);
  const axes = spare.map((_, axis) => axis + 2);
  return at.emit('Slice', [picture, ...[spare.map(() => 0), stops, axes].map((list) => at.builder.int64(list))]);
}
