import { intAttr } from '../../attribute.js';
import { type Change, withInputs, without } from '../change.js';
import { int64s } from './constants.js';

/** TopK 10: the attribute `k` became an input. (11 added the order and the direction, with the old ones as defaults.) */
export const kAsInput: Change = (node, context) => [
  withInputs(without(node, 'k'), int64s(node, context, 'k', [intAttr(node, 'k') ?? 1])),
];
