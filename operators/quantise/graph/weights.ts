import { roundEven } from './activations.js';

/** Weights as int8 steps: w = q * scale, by channel along `axis`, or of the whole tensor where there is none. */
export interface QuantisedWeight {
  readonly values: Int8Array;
  /** One a channel; one alone for the whole tensor. */
  readonly scales: Float32Array;
  readonly axis: number | undefined;
}

/** A bias as int32 steps of `scales`: the input's scale times the weight's. */
export interface QuantisedBias {
  readonly values: Int32Array;
  readonly scales: Float32Array;
}

/** Largest step of a weight: 127, or 64 where products of two neighbours must fit 16 bits (2 * 255 * 64 < 2 ** 15). */
export const WEIGHT_STEPS = 127;
export const REDUCED_STEPS = 64;

/** Below this a channel counts as zero: its products with any activation's scale would leave float32's range. */
const LEAST_WEIGHT = 1e-30;

/** A bias takes at most this many steps: it leaves half of int32 to the sum that is added to it. */
const BIAS_STEPS = 2 ** 30;

/** How the elements of a tensor lie along an axis: `inner` neighbours belong to one channel, `outer` times over. */
export interface Layout {
  readonly outer: number;
  readonly channels: number;
  readonly inner: number;
}

/** The layout along `axis`; without one, the whole tensor is one channel. */
export function layoutOf(shape: readonly number[], axis: number | undefined): Layout {
  const product = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);
  if (axis === undefined) return { outer: 1, channels: 1, inner: product(shape) };
  return {
    outer: product(shape.slice(0, axis)),
    channels: shape[axis] as number,
    inner: product(shape.slice(axis + 1)),
  };
}

/** The largest magnitude of each channel. */
export function magnitudes(values: Float32Array, { outer, channels, inner }: Layout): Float64Array {
  const result = new Float64Array(channels);
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < channels; c++) {
      let most = result[c] as number;
      for (const end = at + inner; at < end; at++) {
        const size = Math.abs(values[at] as number);
        if (size > most) most = size;
      }
      result[c] = most;
    }
  }
  return result;
}

/**
 * Symmetric scales of weights, one a channel. A channel of zeros has no scale of its own and takes the largest of the
 * others: its bias then has as fine a step as theirs.
 *
 * @param steps `WEIGHT_STEPS` or `REDUCED_STEPS`
 * @param bias of each channel, and the scale of the input: where a bias would take more than int32 has, the channel's
 *   scale is widened until it fits
 */
export function weightScales(
  sizes: Float64Array,
  steps: number,
  bias?: { readonly values: Float32Array; readonly inputScale: number },
): Float32Array {
  const known = sizes.filter((size) => size > LEAST_WEIGHT);
  const fallback = known.length > 0 ? known.reduce((a, b) => Math.max(a, b)) : steps;
  const scales = Float32Array.from(sizes, (size) => (size > LEAST_WEIGHT ? size : fallback) / steps);
  if (!bias) return scales;
  bias.values.forEach((b, i) => {
    const c = scales.length === 1 ? 0 : i;
    const least = Math.abs(b) / (bias.inputScale * BIAS_STEPS);
    if (least > (scales[c] as number)) scales[c] = least;
  });
  return scales;
}

/** Weights in steps of their scales, saturated to -127..127: -128 has no counterpart. */
export function quantiseWeight(
  values: Float32Array,
  shape: readonly number[],
  axis: number | undefined,
  scales: Float32Array,
): QuantisedWeight {
  const { outer, channels, inner } = layoutOf(shape, axis);
  const result = new Int8Array(values.length);
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < channels; c++) {
      const scale = scales[c] as number;
      for (const end = at + inner; at < end; at++) {
        const q = roundEven((values[at] as number) / scale);
        result[at] = Math.min(WEIGHT_STEPS, Math.max(-WEIGHT_STEPS, q));
      }
    }
  }
  return { values: result, scales, axis };
}

/** A bias in steps of the input's scale times the weight's, as the int32 accumulators hold it. */
export function quantiseBias(values: Float32Array, inputScale: number, weightScales: Float32Array): QuantisedBias {
  const scales = weightScales.map((scale) => scale * inputScale);
  const steps = Int32Array.from(values, (b, i) => {
    const q = roundEven(b / (scales[scales.length === 1 ? 0 : i] as number));
    return Math.min(2 ** 31 - 1, Math.max(-(2 ** 31), q));
  });
  return { values: steps, scales };
}
