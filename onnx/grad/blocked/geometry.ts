import { intAttr, intsAttr, stringAttr } from '../../attribute.js';
import type { Node } from '../../model.js';
import type { Geometry, Picture } from './emit.js';

/**
 * How a two-dimensional convolution's window moves; undefined for one that has no blocked form: dilated, or padded
 * automatically.
 */
export function geometryOf(node: Node, w: readonly number[]): Geometry | undefined {
  if ((stringAttr(node, 'auto_pad') ?? 'NOTSET') !== 'NOTSET') return undefined;
  const pair = (name: string): readonly [number, number] =>
    (intsAttr(node, name) ?? [1, 1]) as unknown as [number, number];
  const dilations = pair('dilations');
  if (dilations.some((dilation) => dilation !== 1)) return undefined;
  const pads = (intsAttr(node, 'pads') ?? [0, 0, 0, 0]) as unknown as Geometry['pads'];
  return { kernel: [w[2] as number, w[3] as number], strides: pair('strides'), dilations, pads };
}

export function groupOf(node: Node): number {
  return intAttr(node, 'group') ?? 1;
}

/**
 * The window with which a convolution of the output's gradient, its rows and columns set apart by the strides, gives the
 * gradient by the input; undefined where that needs what lies outside.
 */
export function backward(geometry: Geometry, x: Picture, y: Picture): Geometry | undefined {
  const { kernel, strides, pads } = geometry;
  const side = (axis: 0 | 1): readonly [number, number] => {
    const before = kernel[axis] - 1 - pads[axis];
    return [before, x[(axis + 2) as 2] - y[(axis + 2) as 2] * strides[axis] - before + kernel[axis] - 1];
  };
  const [[top, bottom], [left, right]] = [side(0), side(1)];
  if (Math.min(top, bottom, left, right) < 0) return undefined;
  return { kernel, strides: [1, 1], dilations: [1, 1], pads: [top, left, bottom, right] };
}

/**
 * The window with which the output's gradient, as a kernel, slides over the input and gives the gradient by the kernel;
 * undefined where the convolution leaves cells of the input over.
 */
export function correlated(
  geometry: Geometry,
  x: Picture,
  y: Picture,
): Omit<Geometry, 'kernel' | 'strides'> | undefined {
  const { kernel, strides, pads } = geometry;
  const after = (axis: 0 | 1): number =>
    kernel[axis] + strides[axis] * (y[(axis + 2) as 2] - 1) - x[(axis + 2) as 2] - pads[axis];
  const [bottom, right] = [after(0), after(1)];
  if (bottom < 0 || right < 0) return undefined;
  return { dilations: strides, pads: [pads[0], pads[1], bottom, right] };
}
