import { floatAttr, intsAttr } from '../../attribute.js';
import { type Change, withInputs, without } from '../change.js';
import { int64s, scalarLike } from './constants.js';

/** Pad 11: the attributes `pads` and `value` became inputs. */
export const padsAsInputs: Change = (node, context) => {
  const value = floatAttr(node, 'value') ?? 0;
  const filling = value === 0 ? undefined : scalarLike(node, context, 'value', value);
  const pads = int64s(node, context, 'pads', intsAttr(node, 'pads') ?? []);
  return [...(filling?.casts ?? []), withInputs(without(node, 'pads', 'value'), pads, filling?.name)];
};
