import { type ActivationParams, type ActivationType, activationParams } from '../quantise/graph/activations.js';
import { layoutOf, magnitudes, REDUCED_STEPS, WEIGHT_STEPS, weightScales } from '../quantise/graph/weights.js';

/** What a weight is multiplied by, the axis of its scales by channel, and the same of its bias: see `SimulatedWeight`. */
export interface WeightForm {
  readonly alpha: number;
  readonly axis: number | undefined;
  readonly bias?: { readonly beta: number; readonly channels: number };
}

/** The scales that the quantised model will have for a weight and its bias. */
export interface WeightSteps {
  readonly scales: Float32Array;
  /** The bias's: the input's scale times the weight's. */
  readonly biasScales?: Float32Array;
}

/**
 * Scales of a weight as it is now: they follow its largest magnitudes, so that no weight saturates.
 *
 * @param bias its elements, and the scale of the activation that the weight multiplies
 */
export function weightSteps(
  weight: WeightForm,
  shape: readonly number[],
  values: Float32Array,
  reduceRange: boolean,
  bias?: { readonly values: Float32Array; readonly inputScale: number },
): WeightSteps {
  const { alpha, axis } = weight;
  const scaled = alpha === 1 ? values : values.map((w) => w * alpha);
  const sizes = magnitudes(scaled, layoutOf(shape, axis));
  const steps = reduceRange ? REDUCED_STEPS : WEIGHT_STEPS;
  if (!weight.bias || !bias) return { scales: weightScales(sizes, steps) };
  const { beta, channels } = weight.bias;
  const { inputScale } = bias;
  const given = bias.values;
  const added = Float32Array.from({ length: channels }, (_, i) => beta * (given[i % given.length] as number));
  const scales = weightScales(sizes, steps, { values: added, inputScale });
  return { scales, biasScales: scales.map((scale) => scale * inputScale) };
}

/** How a constant is stored that is used as an activation is. */
export function constantSteps(values: Float32Array, type: ActivationType): ActivationParams {
  let [min, max] = [0, 0];
  for (const value of values) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return activationParams({ min, max }, type);
}
