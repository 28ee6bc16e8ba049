import { intsAttr } from '../../attribute.js';
import { type Change, withInputs, without } from '../change.js';
import { int64s } from './constants.js';

/** Slice 10: the attributes `starts`, `ends` and `axes` became inputs. */
export const boundsAsInputs: Change = (node, context) => {
  const names = ['starts', 'ends', 'axes'];
  const inputs = names.map((name) => {
    const values = intsAttr(node, name);
    return values && int64s(node, context, name, values);
  });
  return [withInputs(without(node, ...names), ...inputs)];
};
