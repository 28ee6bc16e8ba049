import { floatsAttr, stringAttr } from '../../attribute.js';
import { attributesOf } from '../../build/attributes.js';
import { type Change, withAttributes, withInputs, without } from '../change.js';
import { float32s } from './constants.js';

/** Upsample 9: the attribute `scales` became an input. */
export const scalesAsInput: Change = (node, context) => [
  withInputs(without(node, 'scales'), float32s(node, context, 'scales', floatsAttr(node, 'scales') ?? [])),
];

/** Upsample is Resize since 10. */
export const upsampleToResize: Change = (node) => [{ ...node, opType: 'Resize' }];

/**
 * Resize 11 says how a place of the output is one of the input, and which element is the nearest. Before, it was
 * `asymmetric`; ONNX Runtime took the element at or before the place, or, along axes that shrink, the one at or behind it.
 */
export const oldCoordinates: Change = (node, context) => {
  const [, scalesName = ''] = node.inputs;
  const nearest = (stringAttr(node, 'mode') ?? 'nearest') === 'nearest';
  const scales = context.floats(scalesName);
  if (nearest && !scales) context.refuse(node, `its scales ${scalesName} are not constant`);
  const shrinks = scales?.some((scale) => scale < 1) ?? false;
  if (nearest && shrinks && scales?.some((scale) => scale > 1)) {
    context.refuse(node, 'it makes one axis longer and another shorter');
  }
  const attributes = attributesOf({
    coordinate_transformation_mode: 'asymmetric',
    ...(nearest && { nearest_mode: shrinks ? 'ceil' : 'floor' }),
  });
  return [withInputs(withAttributes(node, attributes), float32s(node, context, 'roi', []), scalesName)];
};

/** Resize 13 has no coordinates `tf_half_pixel_for_nn` any more. */
export const noHalfPixelForNearest: Change = (node, context) => {
  const mode = stringAttr(node, 'coordinate_transformation_mode');
  if (mode === 'tf_half_pixel_for_nn') context.refuse(node, `its coordinates ${mode} went with opset 13`);
  return [node];
};
