import { elementCount } from '../tensor.js';
import type { EncodedRange } from './encoding.js';

/** Elements of one call of an inner loop: the engine optimises functions that are called often sooner than long loops. */
export const RUN = 4096;

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
  const ends = new Float64Array(2);
  let start = 0;
  for (let i = 0; i < outer; i++) {
    for (let channel = 0; channel < channels; channel++) {
      ends[0] = min[channel] as number;
      ends[1] = max[channel] as number;
      const end = start + inner;
      for (; start < end; start += RUN) widenRun(values, start, Math.min(end, start + RUN), ends);
      start = end;
      min[channel] = ends[0];
      max[channel] = ends[1];
    }
  }
  return {
    min: min.map((low) => (Number.isFinite(low) ? low : 0)),
    max: max.map((high) => (Number.isFinite(high) ? high : 0)),
  };
}

function widenRun(values: Float32Array, start: number, end: number, ends: Float64Array): void {
  let low = ends[0] as number;
  let high = ends[1] as number;
  for (let at = start; at < end; at++) {
    const value = values[at] as number;
    // Written so that NaN is passed over.
    if (value < low && value > Number.NEGATIVE_INFINITY) low = value;
    if (value > high && value < Number.POSITIVE_INFINITY) high = value;
  }
  ends[0] = low;
  ends[1] = high;
}

/** Both ranges in one. @throws RangeError when they are not of the same channels */
export function united(a: EncodedRange, b: EncodedRange): EncodedRange {
  if (a.min.length !== b.min.length) throw new RangeError(`${a.min.length} channels, then ${b.min.length}`);
  return {
    min: a.min.map((low, i) => Math.min(low, b.min[i] as number)),
    max: a.max.map((high, i) => Math.max(high, b.max[i] as number)),
  };
}
