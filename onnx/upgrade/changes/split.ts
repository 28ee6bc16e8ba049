import { intsAttr } from '../../attribute.js';
import { attributesOf } from '../../build/attributes.js';
import { type Change, withAttributes, withInputs, without } from '../change.js';
import { int64s } from './constants.js';

/** Split 13: the attribute `split` became an input. */
export const splitAsInput: Change = (node, context) => {
  const sizes = intsAttr(node, 'split');
  if (!sizes) return [node];
  return [withInputs(without(node, 'split'), int64s(node, context, 'split', sizes))];
};

/** Split 18: without sizes, the number of equal parts is an attribute. */
export const splitCount: Change = (node) =>
  node.inputs[1] ? [node] : [withAttributes(node, attributesOf({ num_outputs: node.outputs.length }))];
