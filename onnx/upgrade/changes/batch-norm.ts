import { intAttr } from '../../attribute.js';
import { type Change, without } from '../change.js';

/** BatchNormalization 9: `spatial` went, and with it statistics of every element (those of a matrix are its channels'). */
export const withoutSpatial: Change = (node, context) => {
  if (intAttr(node, 'spatial') === 0 && context.shape(node.inputs[0] ?? '')?.length !== 2) {
    context.refuse(node, 'it normalises every element by statistics of its own (spatial = 0)');
  }
  return [without(node, 'spatial')];
};

/** BatchNormalization 14: outside of training it has one output. */
export const oneOutput: Change = (node, context) => {
  const [output = '', ...others] = node.outputs;
  const used = others.find((name) => name !== '' && context.isUsed(name));
  if (used !== undefined) context.refuse(node, `its output ${used}, which is made in training alone, is used`);
  return [others.length === 0 ? node : { ...node, outputs: [output] }];
};
