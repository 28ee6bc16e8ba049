import { floatAttr } from '../../../onnx/attribute.js';
import type { Node } from '../../../onnx/model.js';
import type { Range } from '../range.js';
import { type View, weightValues } from './view.js';

/**
 * Where Relu and Clip cut values off; undefined when the bounds are worked out at run time, or when 0 is cut off: ranges
 * include 0, so that a quantised tensor could not say what such a Clip does.
 */
export function clipBounds(node: Node, view: View): Range | undefined {
  if (node.opType === 'Relu') return { min: 0, max: Number.POSITIVE_INFINITY };
  const min = bound(node, 1, 'min', Number.NEGATIVE_INFINITY, view);
  const max = bound(node, 2, 'max', Number.POSITIVE_INFINITY, view);
  if (min === undefined || max === undefined || !(min <= 0 && max >= 0)) return undefined;
  return { min, max };
}

/** A bound from an input (opset 11 and later) or an attribute. */
function bound(node: Node, input: number, attribute: string, none: number, view: View): number | undefined {
  const name = node.inputs[input];
  if (!name) return floatAttr(node, attribute) ?? none;
  const weight = view.weight(name);
  return weight && weightValues(weight)[0];
}

/** A range cut off at bounds. */
export function clipped(range: Range, bounds: Range): Range {
  return { min: Math.max(range.min, bounds.min), max: Math.min(range.max, bounds.max) };
}
