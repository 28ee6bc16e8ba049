import { intsAttr, stringAttr } from '../attribute.js';
import type { Node } from '../model.js';

/** What slides over a picture: one entry an axis of the picture. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Zeros before and after the picture. */
  readonly begins: readonly number[];
  readonly ends: readonly number[];
}

/** Cells that a kernel spans along an axis. */
export function extentOf({ kernel, dilations }: Window, axis: number): number {
  return ((kernel[axis] as number) - 1) * (dilations[axis] as number) + 1;
}

/**
 * The window of a node that goes from a picture to a smaller one (Conv) or back (ConvTranspose), its padding worked out
 * where the node leaves that open (`auto_pad`, `output_shape`).
 *
 * @param kernel sizes of the kernel
 * @param wide sizes of the picture that the window slides over: of Conv's input, of ConvTranspose's output
 * @param narrow sizes of the other
 * @param transposed whether the node is a ConvTranspose
 */
export function windowOf(
  node: Node,
  kernel: readonly number[],
  wide: readonly number[],
  narrow: readonly number[],
  transposed = false,
): Window {
  const rank = kernel.length;
  const filled = (value: number): number[] => new Array<number>(rank).fill(value);
  const strides = intsAttr(node, 'strides') ?? filled(1);
  const dilations = intsAttr(node, 'dilations') ?? filled(1);
  const bare: Window = { kernel, strides, dilations, begins: filled(0), ends: filled(0) };
  const autoPad = stringAttr(node, 'auto_pad') ?? 'NOTSET';
  const fitted = transposed && intsAttr(node, 'output_shape') !== undefined;
  if (autoPad === 'VALID' && !fitted) return bare;
  if (autoPad === 'NOTSET' && !fitted) {
    const pads = intsAttr(node, 'pads') ?? [...filled(0), ...filled(0)];
    return { ...bare, begins: pads.slice(0, rank), ends: pads.slice(rank) };
  }
  const extra = intsAttr(node, 'output_padding') ?? filled(0);
  const totals = kernel.map((_, axis) => {
    const reach = ((narrow[axis] as number) - 1) * (strides[axis] as number) + extentOf(bare, axis);
    return Math.max(0, reach + (transposed ? (extra[axis] ?? 0) : 0) - (wide[axis] as number));
  });
  const less = totals.map((total) => total >> 1);
  const more = totals.map((total, axis) => total - (less[axis] as number));
  return autoPad === 'SAME_UPPER' ? { ...bare, begins: less, ends: more } : { ...bare, begins: more, ends: less };
}

/**
 * Cells at the end of each axis of a padded picture that no place of the window reaches: fewer than the stride.
 *
 * @param picture [N, channels, sizes]
 * @param places [N, channels, places]
 */
export function unreached(picture: readonly number[], places: readonly number[], window: Window): readonly number[] {
  return window.kernel.map((_, axis) => {
    const reach = ((places[axis + 2] as number) - 1) * (window.strides[axis] as number) + extentOf(window, axis);
    return (picture[axis + 2] as number) + (window.begins[axis] as number) + (window.ends[axis] as number) - reach;
  });
}
