import { broadcastIndex, known, selected } from '../fold.js';
import type { Dim } from '../model.js';
import { broadcastShapes } from './broadcast.js';
import {
  axesOf,
  axesOption,
  axisOf,
  type Known,
  type NodeContext,
  type Rule,
  type Rules,
  unknownDims,
  withDim,
} from './context.js';
import {
  addDims,
  atMost,
  ceilDivideDim,
  divideDims,
  floorDivideDim,
  meetDim,
  minDim,
  multiplyDims,
  productOf,
  subtractDims,
} from './dims.js';

/** The tensor with another shape over the same elements. */
function reshaped(source: Known, shape: readonly Dim[] | undefined): Known {
  return shape && source.value ? known(source.dtype, shape, source.value) : { dtype: source.dtype, shape };
}

/** The elements of a small integer input that holds a shape, or as many unknown ones as it has. */
function shapeInput(c: NodeContext, index: number): readonly Dim[] | undefined {
  const value = c.value(index);
  if (value) return value;
  const length = c.shape(index)?.[0];
  return typeof length === 'number' ? unknownDims(length) : undefined;
}

/**
 * Reshape's target with its zeros copied and its one open dimension (-1, or one that is not known) worked out from the
 * number of elements.
 */
export function reshapeTarget(
  shape: readonly Dim[] | undefined,
  target: readonly Dim[],
  allowZero: boolean,
): readonly Dim[] {
  // A symbolic element that could be 0 would copy.
  const sure = target.map((dim) => (typeof dim === 'string' && atMost(1, dim) !== true ? undefined : dim));
  const copied = sure.map((dim) => dim === 0 && !allowZero);
  const isOpen = (dim: Dim, i: number) => !copied[i] && (dim === -1 || dim === undefined);
  const result = sure.map((dim, i) => (copied[i] ? shape?.[i] : dim === -1 ? undefined : dim));
  const open = sure.flatMap((dim, i) => (isOpen(dim, i) ? [i] : []));
  if (!shape || open.length !== 1) return result;
  // A copied dimension stands on both sides, so that it need not be known.
  const total = productOf(shape.filter((_, i) => !copied[i]));
  const others = productOf(result.filter((_, i) => !copied[i] && i !== open[0]));
  return withDim(result, open[0] as number, divideDims(total, others));
}

const reshape: Rule = (c) => {
  const target = c.ints('shape') ?? shapeInput(c, 1);
  if (!target) return [{ dtype: c.dtype(0), shape: undefined }];
  return [reshaped(c.input(0), reshapeTarget(c.shape(0), target, c.int('allowzero', 0) === 1))];
};

const flatten: Rule = (c) => {
  const shape = c.shape(0);
  if (!shape) return [{ dtype: c.dtype(0), shape: unknownDims(2) }];
  const axis = c.int('axis', 1);
  const at = axis < 0 ? axis + shape.length : axis;
  return [reshaped(c.input(0), [productOf(shape.slice(0, at)), productOf(shape.slice(at))])];
};

const squeeze: Rule = (c) => {
  const shape = c.shape(0);
  const given = axesOption(c, 1);
  const unknown = [{ dtype: c.dtype(0), shape: undefined }];
  if (!shape || given === undefined) return unknown;
  if (given === null) {
    // Without axes every 1 goes; a dimension that may be 1 leaves even the rank open.
    if (shape.some((dim) => typeof dim !== 'number' && atMost(2, dim) !== true)) return unknown;
    return [
      reshaped(
        c.input(0),
        shape.filter((dim) => dim !== 1),
      ),
    ];
  }
  const axes = axesOf(given, shape.length);
  if (!axes) return unknown;
  return [
    reshaped(
      c.input(0),
      shape.filter((_, i) => !axes.includes(i)),
    ),
  ];
};

const unsqueeze: Rule = (c) => {
  const shape = c.shape(0);
  const given = axesOption(c, 1);
  const axes = shape && given ? axesOf(given, shape.length + given.length) : undefined;
  if (!shape || !axes) return [{ dtype: c.dtype(0), shape: undefined }];
  const result = [...shape];
  for (const axis of axes) result.splice(axis, 0, 1);
  return [reshaped(c.input(0), result)];
};

const transpose: Rule = (c) => {
  const shape = c.shape(0);
  if (!shape) return [{ dtype: c.dtype(0), shape: undefined }];
  const perm = c.ints('perm') ?? shape.map((_, i) => shape.length - 1 - i);
  const from = (index: readonly number[]) => shape.map((_, axis) => index[perm.indexOf(axis)] as number);
  return [
    selected(
      c.input(0),
      perm.map((axis) => shape[axis]),
      from,
    ),
  ];
};

const expand: Rule = (c) => {
  const shape = c.shape(0);
  const target = shapeInput(c, 1);
  const result = target && broadcastShapes([shape, target]);
  return [selected(c.input(0), result, (index) => broadcastIndex(shape ?? [], index))];
};

const tile: Rule = (c) => {
  const shape = c.shape(0);
  const repeats = shapeInput(c, 1);
  return [{ dtype: c.dtype(0), shape: shape?.map((dim, i) => multiplyDims(dim, repeats?.[i])) }];
};

const concat: Rule = (c) => {
  const inputs = Array.from({ length: c.inputCount }, (_, i) => c.input(i));
  return [concatenated(inputs, c.int('axis', 1))];
};

/** Tensors put together along an axis. */
export function concatenated(inputs: readonly Known[], axis: number): Known {
  const dtype = inputs.find((input) => input.dtype !== undefined)?.dtype;
  const ranked = inputs.find((input) => input.shape)?.shape;
  const at = ranked && axisOf(axis, ranked.length);
  if (!ranked || at === undefined) return { dtype, shape: undefined };
  const shape = ranked.map((_, i) =>
    inputs.map((input) => input.shape?.[i]).reduce<Dim>(i === at ? addDims : meetDim, i === at ? 0 : undefined),
  );
  if (ranked.length !== 1 || typeof shape[0] !== 'number') return { dtype, shape };
  const lists = inputs.map((input) => input.value ?? unknownDims(input.shape?.[0] as number));
  return known(dtype, shape, lists.flat());
}

const split: Rule = (c) => {
  const shape = c.shape(0);
  const axis = shape && axisOf(c.int('axis', 0), shape.length);
  const count = c.node.outputs.length;
  if (!shape || axis === undefined) return c.node.outputs.map(() => ({ dtype: c.dtype(0), shape: undefined }));
  const sizes = c.ints('split') ?? (c.has(1) ? c.value(1) : undefined);
  const given = c.hasAttribute('split') || c.has(1);
  const size = ceilDivideDim(shape[axis], c.int('num_outputs', count));
  const last = subtractDims(shape[axis], multiplyDims(size, count - 1));
  let start: Dim = 0;
  return c.node.outputs.map((_, i) => {
    const dim = given ? sizes?.[i] : i === count - 1 ? last : size;
    const from = start;
    start = addDims(start, dim);
    return selected(c.input(0), withDim(shape, axis, dim), (index) =>
      typeof from === 'number' ? withDimNumber(index, axis, (index[axis] as number) + from) : undefined,
    );
  });
};

function withDimNumber(index: readonly number[], axis: number, value: number): number[] {
  return index.map((n, i) => (i === axis ? value : n));
}

/** Bounds this large (INT32_MAX, or a round number) mean "to the end": no symbol stands for so many. */
const ENDLESS = 1_000_000_000;

/** Where a slice's bound falls in a dimension: counted from the end if negative, then held to 0..size. */
function bound(position: Dim, size: Dim): Dim {
  if (position === undefined) return undefined;
  if (typeof position === 'number' && typeof size !== 'number') {
    if (position >= ENDLESS) return size;
    if (position <= -ENDLESS) return 0;
  }
  // An expression that might be negative might count from the end.
  if (typeof position === 'string' && atMost(0, position) !== true) return undefined;
  const at = typeof position === 'number' && position < 0 ? addDims(size, position) : position;
  if (atMost(at, 0)) return 0;
  if (atMost(at, size)) return atMost(0, at) ? at : undefined;
  if (atMost(size, at)) return size;
  if (atMost(0, at) !== true) return undefined;
  if (typeof at === 'number') return minDim(at, size);
  return typeof size === 'number' ? minDim(size, at) : undefined;
}

/** How many elements a slice takes, and the first, of one dimension. */
function sliceDim(size: Dim, start: Dim, end: Dim, step: Dim): { count: Dim; first: Dim } {
  const unknown = { count: undefined, first: undefined };
  if (typeof step !== 'number' || step === 0) return unknown;
  if (step > 0) {
    const first = bound(start, size);
    const last = bound(end, size);
    // A size is never negative, whatever its expression could be.
    if (first === 0 && last === size) return { count: ceilDivideDim(size, step), first };
    if (atMost(last, first)) return { count: 0, first };
    return atMost(first, last) ? { count: ceilDivideDim(subtractDims(last, first), step), first } : unknown;
  }
  if (typeof start !== 'number' || typeof end !== 'number') return unknown;
  if (typeof size !== 'number') {
    // Symbolic sizes: only the whole dimension backwards, or backwards in whole steps.
    const whole = (start === -1 || start >= ENDLESS) && end <= -ENDLESS;
    return whole ? { count: ceilDivideDim(size, -step), first: subtractDims(size, 1) } : unknown;
  }
  // Going backwards, a slice starts on an element and may end before the first one.
  const clamp = (x: number, low: number, high: number) => Math.min(Math.max(x < 0 ? x + size : x, low), high);
  const first = clamp(start, 0, size - 1);
  return { count: Math.max(0, Math.ceil((clamp(end, -1, size) - first) / step)), first };
}

const slice: Rule = (c) => {
  const shape = c.shape(0);
  if (!shape) return [{ dtype: c.dtype(0), shape: undefined }];
  const part = (name: string, input: number) => c.ints(name) ?? (c.has(input) ? shapeInput(c, input) : null);
  const starts = part('starts', 1);
  const ends = part('ends', 2);
  const given = part('axes', 3);
  const steps = c.has(4) ? shapeInput(c, 4) : null;
  const axes =
    given === null ? starts?.map((_, i) => i) : given?.map((a) => typeof a === 'number' && axisOf(a, shape.length));
  if (!starts || !ends || !axes || steps === undefined || axes.some((axis) => typeof axis !== 'number')) {
    return [{ dtype: c.dtype(0), shape: unknownDims(shape.length) }];
  }
  const cuts = shape.map((size, axis) => {
    const i = axes.indexOf(axis);
    if (i < 0) return { count: size, first: 0, step: 1 };
    const step = steps === null ? 1 : steps[i];
    return { ...sliceDim(size, starts[i], ends[i], step), step };
  });
  const from = (index: readonly number[]): number[] | undefined => {
    const at = index.map((n, axis) => Number(cuts[axis]?.first) + n * Number(cuts[axis]?.step));
    return at.every(Number.isInteger) ? at : undefined;
  };
  return [
    selected(
      c.input(0),
      cuts.map((cut) => cut.count),
      from,
    ),
  ];
};

const pad: Rule = (c) => {
  const shape = c.shape(0);
  if (!shape) return [{ dtype: c.dtype(0), shape: undefined }];
  const pads = c.ints('pads') ?? c.ints('paddings') ?? c.value(1);
  const given = c.has(3) ? c.value(3) : shape.map((_, i) => i);
  const axes = given?.map((axis) => (typeof axis === 'number' ? axisOf(axis, shape.length) : undefined));
  if (!pads || !axes || axes.includes(undefined)) return [{ dtype: c.dtype(0), shape: unknownDims(shape.length) }];
  return [
    {
      dtype: c.dtype(0),
      shape: shape.map((dim, axis) => {
        const i = axes.indexOf(axis);
        return i < 0 ? dim : addDims(addDims(dim, pads[i]), pads[i + axes.length]);
      }),
    },
  ];
};

const depthToSpace: Rule = (c) => {
  const shape = c.shape(0);
  const block = c.int('blocksize');
  if (shape?.length !== 4 || !block) return [{ dtype: c.dtype(0), shape: unknownDims(4) }];
  const [n, channels, height, width] = shape;
  const depth = divideDims(channels, block * block);
  return [{ dtype: c.dtype(0), shape: [n, depth, multiplyDims(height, block), multiplyDims(width, block)] }];
};

const spaceToDepth: Rule = (c) => {
  const shape = c.shape(0);
  const block = c.int('blocksize');
  if (shape?.length !== 4 || !block) return [{ dtype: c.dtype(0), shape: unknownDims(4) }];
  const [n, channels, height, width] = shape;
  const deeper = multiplyDims(channels, block * block);
  return [{ dtype: c.dtype(0), shape: [n, deeper, floorDivideDim(height, block), floorDivideDim(width, block)] }];
};

/** Operators that move elements about and compute nothing. */
export const layoutRules: Rules = {
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
  Expand: expand,
  Tile: tile,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
};
