import { elementCount } from '../tensor.js';
import type { EncodedRange } from './encoding.js';

/** A tensor as `outer` times `channels` runs of `inner` elements. */
export interface Blocks {
  /** From the front; -1: the whole tensor is one channel. */
  readonly axis: number;
  readonly outer: number;
  readonly channels: number;
  readonly inner: number;
}

/** @param axis as ONNX counts: below 0 from the end. Undefined, or an axis that there is not: one channel */
export function blocksOf(shape: readonly number[], axis: number | undefined): Blocks {
  const at = axis === undefined ? -1 : axis < 0 ? axis + shape.length : axis;
  if (at < 0 || at >= shape.length) return { axis: -1, outer: 1, channels: 1, inner: elementCount(shape) };
  return {
    axis: at,
    outer: elementCount(shape.slice(0, at)),
    channels: shape[at] as number,
    inner: elementCount(shape.slice(at + 1)),
  };
}

/** The least and the largest finite value of each channel; 0 and 0 where there is none. */
export function rangeOf(values: Float32Array, { outer, channels, inner }: Blocks): EncodedRange {
  const min = new Array<number>(channels).fill(Number.POSITIVE_INFINITY);
  const max = new Array<number>(channels).fill(Number.NEGATIVE_INFINITY);
  let start = 0;
  for (let i = 0; i < outer; i++) {
    for (let channel = 0; channel < channels; channel++) {
      let low = min[channel] as number;
      let high = max[channel] as number;
      for (let at = start; at < start + inner; at++) {
        const value = values[at] as number;
        // Written so that NaN is passed over.
        if (value < low && value > Number.NEGATIVE_INFINITY) low = value;
        if (value > high && value < Number.POSITIVE_INFINITY) high = value;
      }
      min[channel] = low;
      max[channel] = high;
      start += inner;
    }
  }
  return {
    min: min.map((low) => (Number.isFinite(low) ? low : 0)),
    max: max.map((high) => (Number.isFinite(high) ? high : 0)),
  };
}

/** Both ranges in one. @throws RangeError when they are not of the same channels */
export function united(a: EncodedRange, b: EncodedRange): EncodedRange {
  if (a.min.length !== b.min.length) throw new RangeError(`${a.min.length} channels, then ${b.min.length}`);
  return {
    min: a.min.map((low, i) => Math.min(low, b.min[i] as number)),
    max: a.max.map((high, i) => Math.max(high, b.max[i] as number)),
  };
}
