import type { Value } from '../build.js';
import { elementCount } from '../tensor.js';
import type { GradNode } from './grad-node.js';

/**
 * Multiplies every line of a tensor along an axis by a matrix.
 *
 * @param matrix [shape[axis], size]: a line l becomes l * matrix
 * @returns a tensor with `size` along the axis
 */
export function alongAxis(
  at: GradNode,
  x: Value,
  shape: readonly number[],
  axis: number,
  matrix: Value,
  size: number,
): Value {
  if (axis === shape.length - 1) return at.emit('MatMul', [x, matrix]);
  const [before, after] = [shape.slice(0, axis), shape.slice(axis + 1)];
  const blocks = at.reshape(x, [elementCount(before), shape[axis] as number, elementCount(after)]);
  return at.reshape(at.emit('MatMul', [at.transpose(matrix, [1, 0]), blocks]), [...before, size, ...after]);
}

/** The identity matrix [n, n]: what a linear operator makes of it is the operator's own matrix. */
export function identity(at: GradNode, n: number): Value {
  return at.emit('EyeLike', [at.emit('ConstantOfShape', [at.builder.int64([n, n])])], { dtype: 1 });
}
