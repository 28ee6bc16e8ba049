import { intsAttr } from '../attribute.js';
import type { GradRule } from './rule.js';

/** The same elements in the same order under another shape. */
export const reshape: GradRule = {
  opTypes: ['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'],
  gradient: (at) => [at.reshape(at.dY, at.inputShape(0))],
};

/** Axes in another order: dX has them put back. */
export const transpose: GradRule = {
  opTypes: ['Transpose'],
  gradient(at) {
    const axes = at.inputShape(0).map((_, axis) => axis);
    const perm = intsAttr(at.node, 'perm') ?? axes.toReversed();
    return [
      at.transpose(
        at.dY,
        axes.map((axis) => perm.indexOf(axis)),
      ),
    ];
  },
};
