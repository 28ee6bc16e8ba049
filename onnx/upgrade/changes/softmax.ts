import { intAttr } from '../../attribute.js';
import { attributesOf } from '../../build/attributes.js';
import type { Dim } from '../../model.js';
import { besides, type Change, nameOf, withAttributes } from '../change.js';

/**
 * Softmax, LogSoftmax and Hardmax 13. Before, the axes from `axis` (1 unless said) on were taken together; since, `axis`
 * (the last unless said) stands for itself. Where at most one of those axes can have more than one element that is the
 * same; else the node gets its input as a matrix, and its result is given back its shape.
 */
export const flattenedAxes: Change = (node, context) => {
  const [input = ''] = node.inputs;
  const axis = intAttr(node, 'axis') ?? 1;
  const alone = onlyAxis(context.shape(input), axis);
  if (alone !== undefined && alone === intAttr(node, 'axis')) return [node];
  if (alone !== undefined) return [withAttributes(node, attributesOf({ axis: alone }))];
  const stem = nameOf(node);
  const [shape, matrix, result] = ['shape', 'matrix', 'result'].map((part) => context.freeName(`${stem}_${part}`)) as [
    string,
    string,
    string,
  ];
  return [
    besides(node, 'Shape', [input], shape),
    besides(node, 'Flatten', [input], matrix, attributesOf({ axis })),
    { ...withAttributes(node, attributesOf({ axis: 1 })), inputs: [matrix], outputs: [result] },
    besides(node, 'Reshape', [result, shape], node.outputs[0] ?? ''),
  ];
};

/** The one axis from `axis` on that matters; undefined when there are several, or the shape is not known. */
function onlyAxis(shape: readonly Dim[] | undefined, axis: number): number | undefined {
  if (!shape) return undefined;
  const first = axis < 0 ? axis + shape.length : axis;
  if (first < 0 || first >= shape.length) return undefined;
  const wide = shape.flatMap((dim, i) => (i >= first && dim !== 1 ? [i] : []));
  return wide.length > 1 ? undefined : (wide[0] ?? shape.length - 1);
}
