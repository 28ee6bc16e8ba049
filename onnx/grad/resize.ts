import { intsAttr, stringAttr } from '../attribute.js';
import { type Attributes, float } from '../build.js';
import { float32Values } from '../tensor.js';
import { alongAxis, identity } from './along-axis.js';
import type { GradNode } from './grad-node.js';
import type { GradRule } from './rule.js';

/**
 * Y = X resampled, in any mode: a matrix along each axis, which the operator gives when it resamples the identity along
 * that axis alone. dX is dY by the transposed matrices.
 */
export const resize: GradRule = {
  opTypes: ['Resize'],
  gradient(at) {
    const [x, y] = [at.inputShape(0), at.outputShape()];
    const shape = [...y];
    let gradient = at.dY;
    for (const { axis, scale } of resampledAxes(at, x, y)) {
      const [from, to] = [x[axis] as number, y[axis] as number];
      const cells = at.reshape(identity(at, from), [1, 1, from, from]);
      // [1, 1, to, from]: how much of each cell of X is in each of Y.
      const sizes = scale === undefined ? at.builder.int64([1, 1, to, from]) : undefined;
      const scales = scale === undefined ? undefined : at.builder.float32([1, 1, scale, 1]);
      const made = at.emit('Resize', [cells, undefined, scales, sizes], attributesOf(at));
      gradient = alongAxis(at, gradient, shape, axis, at.reshape(made, [to, from]), from);
      shape[axis] = from;
    }
    return [gradient];
  },
};

/** Axes that change, with the scale where the node has scales and not sizes. */
function resampledAxes(
  at: GradNode,
  x: readonly number[],
  y: readonly number[],
): readonly { readonly axis: number; readonly scale: number | undefined }[] {
  if (stringAttr(at.node, 'coordinate_transformation_mode') === 'tf_crop_and_resize') {
    throw at.error('it resamples a region (tf_crop_and_resize)');
  }
  const bySizes = at.has(3) && at.inputShape(3)[0] !== 0;
  if (bySizes && (stringAttr(at.node, 'keep_aspect_ratio_policy') ?? 'stretch') !== 'stretch') {
    throw at.error('its sizes are bounds (keep_aspect_ratio_policy)', 'Give it the sizes that come of it.');
  }
  const axes = (intsAttr(at.node, 'axes') ?? x.map((_, axis) => axis)).map((axis) =>
    axis < 0 ? axis + x.length : axis,
  );
  const scales = bySizes ? undefined : float32Values(at.constant(2));
  return axes
    .map((axis, i) => ({ axis, scale: scales?.[i] }))
    .filter(({ axis, scale }) => x[axis] !== y[axis] || (scale !== undefined && scale !== 1));
}

function attributesOf(at: GradNode): Attributes {
  const kept = at.node.attributes.filter(({ name }) => name !== 'axes' && name !== 'keep_aspect_ratio_policy');
  return { ...Object.fromEntries(kept.map(({ name, value }) => [name, value])), extrapolation_value: float(0) };
}
