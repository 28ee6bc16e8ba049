import { elementCount } from '../tensor.js';
import type { GradRule } from './rule.js';

/** Y = the mean of a channel's picture: each cell has an equal share of dY. */
export const globalAveragePool: GradRule = {
  opTypes: ['GlobalAveragePool'],
  gradient(at) {
    const shape = at.inputShape(0);
    const share = at.emit('Mul', [at.dY, at.scalar(1 / elementCount(shape.slice(2)))]);
    return [at.emit('Expand', [share, at.builder.int64(shape)])];
  },
};

/** Y = the largest cell of a channel's picture: dY goes to the first such cell. */
export const globalMaxPool: GradRule = {
  opTypes: ['GlobalMaxPool'],
  gradient(at) {
    const shape = at.inputShape(0);
    const flat = [...shape.slice(0, 2), elementCount(shape.slice(2))];
    const found = at.emit('ArgMax', [at.reshape(at.input(0), flat)], { axis: 2, keepdims: 1 });
    const zeros = at.emit('ConstantOfShape', [at.builder.int64(flat)]);
    const given = at.reshape(at.dY, [...shape.slice(0, 2), 1]);
    return [at.reshape(at.emit('ScatterElements', [zeros, found, given], { axis: 2 }), shape)];
  },
};
