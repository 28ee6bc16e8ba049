import { DATA_TYPE } from '../model.js';
import type { GradRule } from './rule.js';

/** Y = min(max(X, low), high): dX = dY where nothing was cut, bounds included, as PyTorch has it. Bounds get none. */
export const clip: GradRule = {
  opTypes: ['Clip'],
  gradient(at) {
    if (at.wants(1) || at.wants(2)) throw at.error('its bounds are to be trained', 'Freeze them.');
    const kept = at.emit('Equal', [at.input(0), at.output()]);
    return [at.emit('Mul', [at.dY, at.emit('Cast', [kept], { to: DATA_TYPE.float32 })])];
  },
};
