import { type ActivationType, activationParams, roundEven } from '../quantise/graph/activations.js';
import {
  layoutOf,
  magnitudes,
  quantiseBias,
  REDUCED_STEPS,
  WEIGHT_STEPS,
  weightScales,
} from '../quantise/graph/weights.js';
import { stepLimits } from './ranges.js';

/** How a product's weight and bias are held: see `SimulatedWeight`. */
export interface WeightForm {
  readonly alpha: number;
  readonly axis: number | undefined;
  readonly bias?: { readonly beta: number; readonly channels: number };
}

/** A product's numbers as they are now. */
export interface ProductValues {
  readonly weight: Float32Array;
  readonly shape: readonly number[];
  readonly bias?: { readonly values: Float32Array; readonly inputScale: number };
}

/**
 * Works out the scales that the quantised model would have of a product, and what rounding adds to its weight and bias in
 * steps of these: what comes of value / scale + rounding in float32 are exactly the whole steps.
 *
 * @param into `weight` of the weight's length, `scales` and `bias` of one element a channel
 */
export function roundProduct(
  form: WeightForm,
  { weight, shape, bias }: ProductValues,
  reduceRange: boolean,
  into: { readonly weight: Float32Array; readonly scales: Float32Array; readonly bias?: Float32Array },
): void {
  const { alpha, axis } = form;
  const values = alpha === 1 ? weight : weight.map((w) => w * alpha);
  const layout = layoutOf(shape, axis);
  const added = bias && form.bias && { values: biasRow(form.bias, bias.values), inputScale: bias.inputScale };
  const scales = weightScales(magnitudes(values, layout), reduceRange ? REDUCED_STEPS : WEIGHT_STEPS, added);
  into.scales.set(scales);
  const { outer, channels, inner } = layout;
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < channels; c++) {
      const scale = scales[c] as number;
      for (const end = at + inner; at < end; at++) {
        const value = values[at] as number;
        const q = Math.min(WEIGHT_STEPS, Math.max(-WEIGHT_STEPS, roundEven(value / scale)));
        into.weight[at] = q - Math.fround(value / scale);
      }
    }
  }
  if (!added || !into.bias) return;
  const steps = quantiseBias(added.values, added.inputScale, scales);
  for (const [i, value] of added.values.entries()) {
    const scale = steps.scales[steps.scales.length === 1 ? 0 : i] as number;
    into.bias[i] = (steps.values[i] as number) - Math.fround(value / scale);
  }
}

/** The scale of a table, whose rows share it. */
export function tableScale(values: Float32Array, reduceRange: boolean): number {
  const sizes = magnitudes(values, layoutOf([values.length], undefined));
  return weightScales(sizes, reduceRange ? REDUCED_STEPS : WEIGHT_STEPS)[0] as number;
}

/** Works out what rounding adds to a constant that is used as an activation is. */
export function roundConstant(values: Float32Array, type: ActivationType, into: Float32Array): void {
  let [min, max] = [0, 0];
  for (const value of values) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  const { scale, zeroPoint } = activationParams({ min, max }, type);
  const { least, most } = stepLimits(type);
  for (const [i, value] of values.entries()) {
    const q = Math.min(most, Math.max(least, roundEven(value / scale) + zeroPoint));
    into[i] = Math.fround((q - zeroPoint) * scale) - value;
  }
}

/** A bias with one element a channel: a Gemm's may be one number for all. */
function biasRow({ beta, channels }: { beta: number; channels: number }, given: Float32Array): Float32Array {
  return Float32Array.from({ length: channels }, (_, i) => beta * (given[i % given.length] as number));
}
