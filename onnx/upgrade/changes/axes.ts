import { intsAttr } from '../../attribute.js';
import { type Change, withInputs, without } from '../change.js';
import { int64s } from './constants.js';

/** Squeeze and Unsqueeze 13, ReduceSum 13, the other reductions 18: the attribute `axes` became an input. */
export const axesAsInput: Change = (node, context) => {
  const axes = intsAttr(node, 'axes');
  if (!axes) return [node];
  return [withInputs(without(node, 'axes'), int64s(node, context, 'axes', axes))];
};
