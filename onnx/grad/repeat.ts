import type { GradRule } from './rule.js';

/** X broadcast to a shape: dX is dY summed where it was. */
export const expand: GradRule = {
  opTypes: ['Expand'],
  gradient: (at) => [at.reduceTo(at.dY, at.outputShape(), at.inputShape(0))],
};

/** X repeated along each axis: dX is the sum over the copies. */
export const tile: GradRule = {
  opTypes: ['Tile'],
  gradient(at) {
    const [from, to] = [at.inputShape(0), at.outputShape()];
    if (from.includes(0)) throw at.error('its input has no elements');
    const copies = from.flatMap((size, axis) => [(to[axis] as number) / size, size]);
    const axes = from.flatMap((size, axis) => (to[axis] === size ? [] : [2 * axis]));
    // Axes of one copy stay, and go with the last reshape.
    return [at.reshape(at.sum(at.reshape(at.dY, copies), axes, true), from)];
  },
};
