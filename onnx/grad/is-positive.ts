import { float, type Value } from '../build.js';
import type { GradNode } from './grad-node.js';

/**
 * 1 where x > 0 and 0 elsewhere, as float32: a slope so steep that nothing is between. One pass over memory at the speed
 * of a product, where ONNX Runtime's Sign takes 4 times as long and Where 10 times (1.30, 2 M elements).
 */
export function isPositive(at: GradNode, x: Value): Value {
  return at.emit('HardSigmoid', [x], { alpha: float(2 ** 127), beta: float(0) });
}
