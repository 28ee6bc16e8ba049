import type { DenseTensor } from '../../onnx/tensor.js';
import { float32Values } from '../../onnx/tensor.js';
import { type ActivationType, activationParams } from '../quantise/graph/activations.js';
import { clipped } from '../quantise/graph/clip.js';
import { type View, weightValues } from '../quantise/graph/view.js';
import type { StepView, TrainPlugin } from '../train/types.js';
import { stepLimits } from './ranges.js';
import { roundConstant, roundProduct, tableScale } from './rounding.js';
import { buffersOf, type SimulatedRange, type Simulation } from './simulation.js';

export interface FollowOptions {
  readonly activations: ActivationType;
  readonly reduceRange: boolean;
  /** What a moving average keeps of itself in each step, 0 to 1. */
  readonly momentum: number;
}

/**
 * Keeps a simulation's scales up with what is trained: behind each step, ranges take the batch in, scales of weights
 * follow their largest magnitudes, and those of biases both. So every step begins with what the quantised model would be
 * if it were written then.
 *
 * @param view of the float model, for weights that are not trained
 */
export function follow(simulation: Simulation, view: View, options: FollowOptions): TrainPlugin {
  const { ranges, weights, tables, constants } = simulation;
  const { activations, reduceRange, momentum } = options;
  const moving = ranges.flatMap((range) =>
    range.moving ? [{ ...range.moving, range, start: range.moving.range }] : [],
  );
  const learned = ranges.flatMap((range) => (range.factor === undefined ? [] : [{ range, factor: range.factor }]));
  const state = {
    least: Float32Array.from(moving, ({ start }) => start.min),
    greatest: Float32Array.from(moving, ({ start }) => start.max),
  };
  const valuesOf = (step: StepView, name: string): Float32Array =>
    step.weights.get(name) ?? weightValues(view.weight(name) as never);

  const followBatch = (step: StepView): Map<string, number> => {
    const scales = new Map(ranges.map(({ source, start }) => [source, start.scale]));
    moving.forEach(({ range, least, greatest, scale, zeroPoint }, i) => {
      average(state.least, i, step.outputs.get(least), momentum);
      average(state.greatest, i, step.outputs.get(greatest), momentum);
      const found = { min: state.least[i] as number, max: state.greatest[i] as number };
      const params = activationParams(clipped(found, range.bounds), activations);
      set(step, scale, params.scale);
      if (zeroPoint) set(step, zeroPoint, params.zeroPoint);
      scales.set(range.source, params.scale);
    });
    for (const { range, factor } of learned) {
      const held = step.weights.get(factor) as Float32Array;
      held[0] = heldFactor(range, held[0] as number, activations);
      scales.set(range.source, Math.fround(held[0] * range.start.scale));
    }
    return scales;
  };

  return {
    name: 'quantisation',
    identity: JSON.stringify(options),
    outputs: moving.flatMap(({ least, greatest }) => [least, greatest]),
    buffers: buffersOf(simulation),
    state,
    beforeUpdate(step) {
      for (const { range, factor } of learned) {
        const gradient = step.gradients.get(factor);
        if (gradient) gradient[0] = (gradient[0] as number) * factorShare(range, activations);
      }
    },
    afterUpdate(step) {
      const scales = followBatch(step);
      for (const form of weights) {
        const { bias } = form;
        const values = {
          ...{ weight: valuesOf(step, form.weight), shape: view.weight(form.weight)?.dims as readonly number[] },
          ...(bias && { bias: { values: valuesOf(step, bias.name), inputScale: scales.get(bias.input) as number } }),
        };
        const into = {
          weight: step.weights.get(form.rounding) as Float32Array,
          scales: step.weights.get(form.scale) as Float32Array,
          ...(bias && { bias: step.weights.get(bias.rounding) as Float32Array }),
        };
        roundProduct(form, values, reduceRange, into);
      }
      for (const { weight, scale } of tables) set(step, scale, tableScale(valuesOf(step, weight), reduceRange));
      for (const { weight, rounding } of constants) {
        roundConstant(valuesOf(step, weight), activations, step.weights.get(rounding) as Float32Array);
      }
    },
  };
}

function set(step: StepView, buffer: string, value: number): void {
  step.weights.get(buffer)?.fill(value);
}

function average(list: Float32Array, i: number, batch: DenseTensor | undefined, momentum: number): void {
  const value = batch && float32Values(batch)[0];
  // A batch that is not finite says nothing of a range; the trainer stops at its loss.
  if (value === undefined || !Number.isFinite(value)) return;
  list[i] = momentum * (list[i] as number) + (1 - momentum) * value;
}

/**
 * What the gradient by a scale is multiplied by for its factor to learn as fast as weights do: LSQ's 1 / sqrt(N Q), with N
 * elements for an item and Q steps (Esser et al., ICLR 2020, section 2.2). A factor is the scale by what it started from:
 * for a gradient step of plain descent to change the scale as LSQ has it, that comes in twice, once with the gradient.
 */
function factorShare({ start, elements }: SimulatedRange, activations: ActivationType): number {
  const { most } = stepLimits(activations);
  return 1 / Math.sqrt(elements * most) / start.scale ** 2;
}

/** A scale stays above 0, and its range within what Relu and Clip let through. */
function heldFactor({ start, bounds }: SimulatedRange, factor: number, activations: ActivationType): number {
  const { least, most } = stepLimits(activations);
  const up = bounds.max / (most - start.zeroPoint);
  const down = bounds.min / (least - start.zeroPoint);
  const widest = Math.min(Number.isNaN(up) ? Infinity : up, bounds.min < 0 && !Number.isNaN(down) ? down : Infinity);
  return Math.max(LEAST_FACTOR, Math.min(factor, widest / start.scale));
}

/** A range that shrinks below this share of what it was has nothing left to tell apart. */
const LEAST_FACTOR = 1 / 256;
