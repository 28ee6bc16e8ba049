import type { Value } from '../build.js';
import { axisOf } from './axes.js';
import { filled } from './filled.js';
import type { GradNode } from './grad-node.js';
import type { GradRule } from './rule.js';

/** Part of X: dX is dY with zeros around it, and between its elements where steps are longer than 1. */
export const slice: GradRule = {
  opTypes: ['Slice'],
  gradient: (at) => [padded(at, windows(at))],
};

interface Window {
  readonly axis: number;
  readonly start: number;
  readonly step: number;
}

/** What it takes along each axis that it names. */
function windows(at: GradNode): readonly Window[] {
  const shape = at.inputShape(0);
  const starts = at.integers(1);
  const axes = at.has(3) ? at.integers(3) : starts.map((_, i) => i);
  const steps = at.has(4) ? at.integers(4) : starts.map(() => 1);
  return starts.map((start, i) => {
    const axis = axisOf(at, axes[i] as number, shape.length);
    const [size, step] = [shape[axis] as number, steps[i] as number];
    const fromFront = start < 0 ? start + size : start;
    return { axis, step, start: Math.min(Math.max(fromFront, 0), step < 0 ? size - 1 : size) };
  });
}

function padded(at: GradNode, slices: readonly Window[]): Value {
  const { builder } = at;
  const from = at.inputShape(0);
  const to = at.outputShape();
  if (to.includes(0)) return filled(at, 0, from);
  let gradient = at.dY;
  const backward = slices.filter(({ step }) => step < 0);
  if (backward.length > 0) {
    // Turned round: it is then what a slice with positive steps took.
    const [starts, ends, steps] = [-1, Number.MIN_SAFE_INTEGER, -1].map((n) => builder.int64(backward.map(() => n)));
    gradient = at.emit('Slice', [gradient, starts, ends, builder.int64(backward.map(({ axis }) => axis)), steps]);
  }
  const spread = [...to];
  const long = slices.filter(({ axis, step }) => Math.abs(step) > 1 && (to[axis] as number) > 1);
  for (const { axis, step } of long) {
    // Each element with |step| - 1 zeros behind it.
    const apart = [...spread.slice(0, axis + 1), 1, ...spread.slice(axis + 1)];
    const zeros = apart.map((_, i) => (i === axis + 1 ? Math.abs(step) - 1 : 0));
    gradient = pad(
      at,
      at.reshape(gradient, apart),
      apart.map(() => 0),
      zeros,
    );
    spread[axis] = (spread[axis] as number) * Math.abs(step);
    gradient = at.reshape(gradient, spread);
  }
  const before = from.map((_, axis) => {
    const window = slices.find((each) => each.axis === axis);
    if (!window) return 0;
    const { start, step } = window;
    return step > 0 ? start : start + step * ((to[axis] as number) - 1);
  });
  // Zeros behind the last element may reach over the end: padding by less than nothing cuts them off.
  const behind = from.map((size, axis) => size - (before[axis] as number) - (spread[axis] as number));
  return pad(at, gradient, before, behind);
}

function pad(at: GradNode, x: Value, before: readonly number[], behind: readonly number[]): Value {
  if ([...before, ...behind].every((size) => size === 0)) return x;
  return at.emit('Pad', [x, at.builder.int64([...before, ...behind])]);
}
