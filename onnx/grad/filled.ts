import type { Value } from '../build.js';
import type { GradNode } from './grad-node.js';

/** A tensor of one number. */
export function filled(at: GradNode, value: number, shape: readonly number[]): Value {
  return at.emit('Expand', [at.scalar(value), at.builder.int64(shape)]);
}
