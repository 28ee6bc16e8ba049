import { floatAttr } from '../../attribute.js';
import { type Change, withInputs, without } from '../change.js';
import { scalarLike } from './constants.js';

/** Clip 11: the attributes `min` and `max` became inputs, of the type of the data. */
export const boundsAsInputs: Change = (node, context) => {
  const [min, max] = ['min', 'max'].map((name) => {
    const value = floatAttr(node, name);
    return value === undefined ? undefined : scalarLike(node, context, name, value);
  });
  const clip = withInputs(without(node, 'min', 'max'), min?.name, max?.name);
  return [...(min?.casts ?? []), ...(max?.casts ?? []), clip];
};
