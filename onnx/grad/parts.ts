import { intAttr } from '../attribute.js';
import type { Value } from '../build.js';
import { axisOf } from './axes.js';
import { filled } from './filled.js';
import type { GradNode } from './grad-node.js';
import type { GradRule } from './rule.js';

/** Inputs side by side along an axis: dY cut up again. */
export const concat: GradRule = {
  opTypes: ['Concat'],
  gradient(at) {
    const axis = axisOf(at, intAttr(at.node, 'axis') ?? 0, at.outputShape().length);
    const sizes = at.node.inputs.map((_, i) => at.inputShape(i)[axis] as number);
    const wanted = sizes.flatMap((_, i) => (at.wants(i) ? [i] : []));
    if (wanted.length > 1 || sizes.length === 1) {
      const parts = at.emitMany('Split', [at.dY, at.builder.int64(sizes)], sizes.length, { axis });
      return parts.map((part, i) => (at.wants(i) ? part : undefined));
    }
    return sizes.map((size, i) => (at.wants(i) ? slice(at, axis, sum(sizes.slice(0, i)), size) : undefined));
  },
};

/** Slices along an axis: dX is their gradients side by side, 0 for what is not used. */
export const split: GradRule = {
  opTypes: ['Split'],
  gradient(at) {
    const axis = axisOf(at, intAttr(at.node, 'axis') ?? 0, at.inputShape(0).length);
    const parts = at.node.outputs.map((_, i) => at.outputGradient(i) ?? filled(at, 0, at.outputShape(i)));
    return [at.emit('Concat', parts, { axis })];
  },
};

function slice(at: GradNode, axis: number, start: number, size: number): Value {
  const { builder } = at;
  return at.emit('Slice', [at.dY, builder.int64([start]), builder.int64([start + size]), builder.int64([axis])]);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
