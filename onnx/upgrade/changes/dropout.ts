import { type Change, without } from '../change.js';

/** Dropout 12: the attribute `ratio` became an input, which matters in training alone. The mask had other types before. */
export const withoutRatio: Change = (node, context) => {
  const [output = '', mask] = node.outputs;
  if (mask && context.isUsed(mask))
    context.refuse(node, `its mask ${mask} is used, which means another thing since 12`);
  const written = without(node, 'ratio');
  return [mask === undefined ? written : { ...written, outputs: [output] }];
};
