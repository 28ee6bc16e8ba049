import { DATA_TYPE, type Dim } from '../model.js';
import { type Known, type NodeContext, type Rule, type Rules, UNKNOWN, unknownDims } from './context.js';
import { addDims, ceilDivideDim, floorDivideDim, multiplyDims, subtractDims } from './dims.js';

/** The sliding window of Conv and the pools: one entry an axis of the picture. */
interface Window {
  readonly kernel: readonly Dim[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Begins, then ends. */
  readonly pads: readonly number[];
  readonly autoPad: string;
  readonly ceilMode: boolean;
}

function windowOf(c: NodeContext, rank: number, kernel: readonly Dim[]): Window {
  const ones = new Array<number>(rank).fill(1);
  return {
    kernel,
    strides: c.ints('strides') ?? ones,
    dilations: c.ints('dilations') ?? ones,
    pads: c.ints('pads') ?? new Array<number>(2 * rank).fill(0),
    autoPad: c.string('auto_pad', 'NOTSET'),
    ceilMode: c.int('ceil_mode', 0) === 1,
  };
}

/** Cells that a kernel spans: (kernel - 1) * dilation + 1. */
function extent(window: Window, axis: number): Dim {
  return addDims(multiplyDims(subtractDims(window.kernel[axis], 1), window.dilations[axis] ?? 1), 1);
}

/** One dimension of the result of Conv or a pool (onnx Operators.md, MaxPool). */
function slide(size: Dim, window: Window, axis: number): Dim {
  const rank = window.kernel.length;
  const stride = window.strides[axis] ?? 1;
  const before = window.pads[axis] ?? 0;
  const after = window.pads[axis + rank] ?? 0;
  if (window.autoPad.startsWith('SAME')) return ceilDivideDim(size, stride);
  const padded = window.autoPad === 'VALID' ? size : addDims(size, before + after);
  const room = subtractDims(padded, extent(window, axis));
  if (!window.ceilMode) return addDims(floorDivideDim(room, stride), 1);
  const count = addDims(ceilDivideDim(room, stride), 1);
  if (stride === 1) return count;
  if (typeof count !== 'number' || typeof size !== 'number') return undefined;
  // The last window must start on the picture or its left border, not on the right border.
  return (count - 1) * stride >= size + before ? count - 1 : count;
}

/** Convolves input `x` with weights `w`. */
function convolve(c: NodeContext, x: number, w: number, dtype: number | undefined): Known[] {
  const shape = c.shape(x);
  const weights = c.shape(w);
  if (!shape) return [{ dtype, shape: weights && unknownDims(weights.length) }];
  const rank = shape.length - 2;
  const kernel = c.ints('kernel_shape') ?? weights?.slice(2) ?? unknownDims(rank);
  const window = windowOf(c, rank, kernel);
  return [{ dtype, shape: [shape[0], weights?.[0], ...shape.slice(2).map((size, axis) => slide(size, window, axis))] }];
}

function convolveTransposed(c: NodeContext): Known[] {
  const dtype = c.dtype(0);
  const shape = c.shape(0);
  const weights = c.shape(1);
  if (!shape) return [{ dtype, shape: weights && unknownDims(weights.length) }];
  const rank = shape.length - 2;
  const window = windowOf(c, rank, c.ints('kernel_shape') ?? weights?.slice(2) ?? unknownDims(rank));
  const outputPadding = c.ints('output_padding') ?? [];
  const outputShape = c.ints('output_shape');
  const spatial = shape.slice(2).map((size, axis): Dim => {
    if (outputShape) return outputShape[outputShape.length - rank + axis];
    const stride = window.strides[axis] ?? 1;
    const reach = addDims(extent(window, axis), outputPadding[axis] ?? 0);
    const full = addDims(multiplyDims(subtractDims(size, 1), stride), reach);
    if (window.autoPad === 'VALID') return full;
    if (!window.autoPad.startsWith('SAME')) {
      return subtractDims(full, (window.pads[axis] ?? 0) + (window.pads[axis + rank] ?? 0));
    }
    // Padding can only take away: down to size * stride, and not at all from a kernel shorter than the stride.
    return typeof reach !== 'number' ? undefined : reach < stride ? full : multiplyDims(size, stride);
  });
  return [{ dtype, shape: [shape[0], multiplyDims(weights?.[1], c.int('group', 1)), ...spatial] }];
}

/** A pool with a window; MaxPool gives the indices of the maxima too. */
const pool: Rule = (c) => {
  const shape = c.shape(0);
  const kernel = c.ints('kernel_shape');
  if (!shape || !kernel)
    return [
      { dtype: c.dtype(0), shape },
      { dtype: DATA_TYPE.int64, shape },
    ];
  const window = windowOf(c, shape.length - 2, kernel);
  const result = [shape[0], shape[1], ...shape.slice(2).map((size, axis) => slide(size, window, axis))];
  return [
    { dtype: c.dtype(0), shape: result },
    { dtype: DATA_TYPE.int64, shape: result },
  ];
};

const globalPool: Rule = (c) => [{ dtype: c.dtype(0), shape: c.shape(0)?.map((dim, axis) => (axis < 2 ? dim : 1)) }];

const quantizedGlobalPool: Rule = (c) => {
  const channelsLast = c.int('channels_last', 0) === 1;
  const shape = c.shape(0)?.map((dim, axis, { length }) => {
    return axis === 0 || axis === (channelsLast ? length - 1 : 1) ? dim : 1;
  });
  return [{ dtype: c.dtype(0), shape }];
};

const maxUnpool: Rule = (c) => {
  const shape = c.shape(0);
  const kernel = c.ints('kernel_shape');
  if (!shape || !kernel) return [{ dtype: c.dtype(0), shape: shape && unknownDims(shape.length) }];
  if (c.has(2)) return [{ dtype: c.dtype(0), shape: c.value(2) ?? unknownDims(shape.length) }];
  const window = windowOf(c, shape.length - 2, kernel);
  const rank = kernel.length;
  const spatial = shape.slice(2).map((size, axis) => {
    const pads = (window.pads[axis] ?? 0) + (window.pads[axis + rank] ?? 0);
    const spread = multiplyDims(subtractDims(size, 1), window.strides[axis] ?? 1);
    return addDims(addDims(spread, kernel[axis]), -pads);
  });
  return [{ dtype: c.dtype(0), shape: [shape[0], shape[1], ...spatial] }];
};

/** Regions of interest pooled to a fixed size. */
function roiPool(size: (c: NodeContext) => readonly Dim[]): Rule {
  return (c) => {
    const channels = c.shape(0)?.[1];
    return [{ dtype: c.dtype(0), shape: [c.shape(1)?.[0], channels, ...size(c)] }];
  };
}

/** Convolutions and pools. */
export const convolutionRules: Rules = {
  Conv: (c) => convolve(c, 0, 1, c.dtype(0)),
  'com.microsoft:FusedConv': (c) => convolve(c, 0, 1, c.dtype(0)),
  ConvInteger: (c) => convolve(c, 0, 1, DATA_TYPE.int32),
  QLinearConv: (c) => convolve(c, 0, 3, c.dtype(7)),
  'com.microsoft:QLinearConv': (c) => (c.int('channels_last', 0) === 0 ? convolve(c, 0, 3, c.dtype(7)) : [UNKNOWN]),
  DeformConv: (c) => convolve(c, 0, 1, c.dtype(0)),
  ConvTranspose: convolveTransposed,
  MaxPool: pool,
  AveragePool: (c) => pool(c).slice(0, 1),
  LpPool: (c) => pool(c).slice(0, 1),
  'com.microsoft:QLinearAveragePool': (c) =>
    c.int('channels_last', 0) === 0 ? pool(c).slice(0, 1) : [{ dtype: c.dtype(0), shape: undefined }],
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  GlobalLpPool: globalPool,
  'com.microsoft:QLinearGlobalAveragePool': quantizedGlobalPool,
  MaxUnpool: maxUnpool,
  MaxRoiPool: roiPool((c) => c.ints('pooled_shape') ?? [undefined, undefined]),
  RoiAlign: roiPool((c) => [c.int('output_height', 1), c.int('output_width', 1)]),
};
