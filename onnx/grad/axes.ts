import type { GradNode } from './grad-node.js';

/** An axis counted from the front. @throws TierbedError `invalid` when there is none such */
export function axisOf(at: GradNode, axis: number, rank: number): number {
  const positive = axis < 0 ? axis + rank : axis;
  if (positive < 0 || positive >= rank) throw at.error(`axis ${axis} of a tensor of rank ${rank}`);
  return positive;
}

/** Axes counted from the front, each once, in rising order. */
export function axesOf(at: GradNode, axes: readonly number[], rank: number): number[] {
  return [...new Set(axes.map((axis) => axisOf(at, axis, rank)))].sort((a, b) => a - b);
}

/** All axes of a shape [N, C, ...] but that of the channels: what a channel's sums and statistics are over. */
export function besidesChannels(shape: readonly number[]): number[] {
  return shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]));
}
