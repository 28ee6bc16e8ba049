import type { Model } from '../../onnx/model.js';
import type { ActivationType } from '../quantise/graph/activations.js';
import { weightValues } from '../quantise/graph/view.js';
import type { Range } from '../quantise/range.js';
import type { SimulatedRange, Simulation } from './simulation.js';

/** The first and the last step of an activation type; of int8 the last is as far from 0 as the first that is used. */
export function stepLimits(type: ActivationType): { readonly least: number; readonly most: number } {
  return type === 'uint8' ? { least: 0, most: 255 } : { least: -127, most: 127 };
}

/**
 * The ranges of a trained simulation, as the writers of quantised models take them: they give the scales and zero points
 * that the simulation has.
 *
 * @param trained the simulation's model with trained weights and buffers
 */
export function trainedRanges(
  { ranges }: Simulation,
  trained: Model,
  activations: ActivationType,
): ReadonlyMap<string, Range> {
  const held = new Map(trained.graph.initializers.map((each) => [each.name, each]));
  const number = (name: string): number => weightValues(held.get(name) as never)[0] as number;
  return new Map(ranges.map((range) => [range.source, rangeOfSteps(stepsOf(range, number), activations)]));
}

function stepsOf({ start, moving, factor }: SimulatedRange, number: (name: string) => number) {
  if (factor !== undefined) return { ...start, scale: Math.fround(number(factor) * start.scale) };
  if (!moving) return start;
  return { scale: number(moving.scale), zeroPoint: moving.zeroPoint ? number(moving.zeroPoint) : start.zeroPoint };
}

/** The numbers that the first and the last step stand for: products of few bits each, so that they are exact. */
function rangeOfSteps({ scale, zeroPoint }: { scale: number; zeroPoint: number }, type: ActivationType): Range {
  const { least, most } = stepLimits(type);
  return { min: (least - zeroPoint) * scale, max: (most - zeroPoint) * scale };
}
