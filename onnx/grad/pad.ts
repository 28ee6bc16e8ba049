import { stringAttr } from '../attribute.js';
import type { Value } from '../build.js';
import { alongAxis, identity } from './along-axis.js';
import type { GradNode } from './grad-node.js';
import type { GradRule } from './rule.js';

/**
 * Y = X with a border around it, or, where the padding is negative, without one. A border that repeats X gives its
 * gradient back to what it repeats.
 */
export const pad: GradRule = {
  opTypes: ['Pad'],
  gradient(at) {
    const x = at.inputShape(0);
    const [begins, ends] = padsOf(at, x.length);
    const mode = stringAttr(at.node, 'mode') ?? 'constant';
    if (mode === 'constant') return constantGradients(at, begins, ends);
    const shape = [...at.outputShape()];
    let gradient = at.dY;
    for (const [axis, size] of x.entries()) {
      const [begin, end] = [begins[axis] as number, ends[axis] as number];
      if (begin === 0 && end === 0) continue;
      // One cell after the other, padded as the operator has it, says where each place of Y is from.
      const pads = at.builder.int64([0, begin, 0, end]);
      const from = at.transpose(at.emit('Pad', [identity(at, size), pads], { mode }), [1, 0]);
      gradient = alongAxis(at, gradient, shape, axis, from, size);
      shape[axis] = size;
    }
    return [gradient];
  },
};

function constantGradients(
  at: GradNode,
  begins: readonly number[],
  ends: readonly number[],
): readonly (Value | undefined)[] {
  const inner = at.emit('Pad', [at.dY, at.builder.int64([...begins, ...ends].map((pad) => (pad === 0 ? 0 : -pad)))]);
  if (!at.wants(2)) return [inner];
  const total = (x: Value): Value => at.sum(at.reshape(x, [-1]), [0]);
  // What is cropped is neither X's nor the value's; where nothing is, the rest of dY is the value's.
  if ([...begins, ...ends].some((pad) => pad < 0)) throw at.error('its value is trained, and it crops');
  return [inner, undefined, at.reshape(at.emit('Sub', [total(at.dY), total(inner)]), at.inputShape(2))];
}

/** Cells before and after, for all axes. */
function padsOf(at: GradNode, rank: number): [begins: number[], ends: number[]] {
  const pads = at.integers(1);
  const axes = at.has(3) ? at.integers(3) : Array.from({ length: rank }, (_, axis) => axis);
  const [begins, ends] = [new Array<number>(rank).fill(0), new Array<number>(rank).fill(0)];
  for (const [i, axis] of axes.entries()) {
    const own = axis < 0 ? axis + rank : axis;
    begins[own] = pads[i] as number;
    ends[own] = pads[i + axes.length] as number;
  }
  return [begins, ends];
}
