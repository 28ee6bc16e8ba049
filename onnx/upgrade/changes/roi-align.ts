import { attributesOf } from '../../build/attributes.js';
import { type Change, withAttributes } from '../change.js';

/** RoiAlign 16 shifts by half a pixel unless told otherwise. */
export const withoutHalfPixel: Change = (node) => [
  withAttributes(node, attributesOf({ coordinate_transformation_mode: 'output_half_pixel' })),
];
