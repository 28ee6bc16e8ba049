import type { Dim } from '../model.js';
import { axisOf, type NodeContext, type Rule, type Rules, unknownDims } from './context.js';
import { multiplyDims } from './dims.js';

/** floor(size * scale), in the runtime's float32 arithmetic. */
function scaled(size: Dim, scale: Dim): Dim {
  if (typeof scale !== 'number') return undefined;
  if (typeof size === 'number') return Math.floor(Math.fround(Math.fround(scale) * Math.fround(size)));
  return Number.isInteger(scale) ? multiplyDims(size, scale) : undefined;
}

/** Inputs from opset 11: X, roi, scales, sizes; in opset 10 X, scales. An empty list is one left out. */
const resize: Rule = (c) => {
  const shape = c.shape(0);
  const dtype = c.dtype(0);
  if (!shape) return [{ dtype, shape: undefined }];
  const given = (index: number) => c.has(index) && c.shape(index)?.[0] !== 0;
  const axes = c.ints('axes')?.map((axis) => axisOf(axis, shape.length)) ?? shape.map((_, i) => i);
  const scalesAt = c.opset >= 11 ? 2 : 1;
  const resized = (dim: (i: number, size: Dim) => Dim) =>
    shape.map((size, axis) => (axes.includes(axis) ? dim(axes.indexOf(axis), size) : size));
  if (c.opset >= 11 && given(3)) return [{ dtype, shape: bySizes(c, shape, axes, resized) }];
  const cropped = c.string('coordinate_transformation_mode', 'half_pixel') === 'tf_crop_and_resize';
  const scales = given(scalesAt) && !cropped ? c.value(scalesAt) : undefined;
  return [{ dtype, shape: resized((i, size) => scaled(size, scales?.[i])) }];
};

function bySizes(
  c: NodeContext,
  shape: readonly Dim[],
  axes: readonly (number | undefined)[],
  resized: (dim: (i: number, size: Dim) => Dim) => Dim[],
): Dim[] {
  const sizes = c.value(3);
  const policy = c.string('keep_aspect_ratio_policy', 'stretch');
  if (policy === 'stretch') return resized((i) => sizes?.[i]);
  const ratios = axes.map((axis, i) => Number(sizes?.[i]) / Number(axis === undefined ? undefined : shape[axis]));
  if (ratios.some((ratio) => !Number.isFinite(ratio))) return resized(() => undefined);
  const ratio = Math.fround(policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios));
  return resized((_, size) => Math.floor(ratio * Number(size) + 0.5));
}

const upsample: Rule = (c) => {
  const shape = c.shape(0);
  const scales = c.floats('scales') ?? c.value(1);
  return [{ dtype: c.dtype(0), shape: shape?.map((size, axis) => scaled(size, scales?.[axis])) }];
};

const gridSample: Rule = (c) => {
  const shape = c.shape(0);
  const grid = c.shape(1);
  if (!shape && !grid) return [{ dtype: c.dtype(0), shape: undefined }];
  const rank = (shape ?? grid ?? []).length;
  const spatial = grid?.slice(1, -1) ?? unknownDims(rank - 2);
  return [{ dtype: c.dtype(0), shape: [shape?.[0] ?? grid?.[0], shape?.[1], ...spatial] }];
};

/** Operators that change a picture's size. */
export const resamplingRules: Rules = { Resize: resize, Upsample: upsample, GridSample: gridSample };
