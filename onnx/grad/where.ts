import type { Value } from '../build.js';
import { DATA_TYPE } from '../model.js';
import type { GradNode } from './grad-node.js';
import type { GradRule } from './rule.js';

/** Y = C ? A : B, broadcast: the gradient goes where the value came from. */
export const where: GradRule = {
  opTypes: ['Where'],
  gradient(at) {
    const condition = at.input(0);
    return [undefined, chosen(at, 1, () => condition), chosen(at, 2, () => at.emit('Not', [condition]))];
  },
};

/** By a mask and a product, which take a quarter of the time of a second Where. */
function chosen(at: GradNode, i: number, condition: () => Value): Value | undefined {
  if (!at.wants(i)) return undefined;
  const mask = at.emit('Cast', [condition()], { to: DATA_TYPE.float32 });
  return at.reduceTo(at.emit('Mul', [at.dY, mask]), at.outputShape(), at.inputShape(i));
}
