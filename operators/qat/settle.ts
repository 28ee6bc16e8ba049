import type { Initializer, Model } from '../../onnx/model.js';
import { roundEven } from '../quantise/graph/activations.js';
import { weightValues } from '../quantise/graph/view.js';
import { tableScale } from './rounding.js';
import type { Simulation } from './simulation.js';

/**
 * A simulation's model whose tables round alike in the simulation and in the int8 model: the one divides in float32, the
 * other in float64, so that a number next to the edge between two steps may go either way. It is moved by the last bit of
 * its mantissa to where float32 says what float64 says; the int8 model stays as it is.
 */
export function settled(model: Model, tables: Simulation['tables'], reduceRange: boolean): Model {
  const names = new Set(tables.map(({ weight }) => weight));
  if (names.size === 0) return model;
  const settle = (each: Initializer): Initializer => {
    const moved = names.has(each.name) ? settledValues(weightValues(each), reduceRange) : undefined;
    return moved ? { ...each, data: { kind: 'raw', bytes: new Uint8Array(moved.buffer) } } : each;
  };
  return { ...model, graph: { ...model.graph, initializers: model.graph.initializers.map(settle) } };
}

/** @returns undefined where nothing has to move */
export function settledValues(values: Float32Array, reduceRange: boolean): Float32Array | undefined {
  const scale = tableScale(values, reduceRange);
  let moved: Float32Array | undefined;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    const wanted = roundEven(value / scale);
    const single = Math.fround(value / scale);
    if (roundEven(single) === wanted || Number.isNaN(wanted)) continue;
    moved ??= values.slice();
    // Single precision took it for the very edge: away from the step that it should not go to.
    const outwards = Math.abs(wanted) > Math.abs(single);
    let found = value;
    while (roundEven(Math.fround(found / scale)) !== wanted) found = neighbour(found, outwards);
    moved[i] = found;
  }
  return moved;
}

const FLOAT = new Float32Array(1);
const BITS = new Int32Array(FLOAT.buffer);

/** The next float32, away from 0 or towards it. */
function neighbour(value: number, outwards: boolean): number {
  FLOAT[0] = value;
  BITS[0] = (BITS[0] as number) + (outwards ? 1 : -1);
  return FLOAT[0] as number;
}
