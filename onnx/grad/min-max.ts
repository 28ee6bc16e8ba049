import { DATA_TYPE } from '../model.js';
import type { GradRule } from './rule.js';

/** The least or greatest of several, broadcast: the gradient goes to those that are it, shared where they are equal. */
export const minMax: GradRule = {
  opTypes: ['Min', 'Max'],
  gradient(at) {
    const y = at.output();
    const isIt = at.node.inputs.map((name) =>
      at.emit('Cast', [at.emit('Equal', [name, y])], { to: DATA_TYPE.float32 }),
    );
    const count = isIt.reduce((sum, each) => at.emit('Add', [sum, each]));
    const part = at.emit('Div', [at.dY, count]);
    return isIt.map((mask, i) =>
      at.wants(i) ? at.reduceTo(at.emit('Mul', [part, mask]), at.outputShape(), at.inputShape(i)) : undefined,
    );
  },
};
