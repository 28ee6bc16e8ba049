import { DATA_TYPE, type Dim, type Initializer } from './model.js';
import { type Known, UNKNOWN } from './shapes/context.js';

/** Tensors with more elements than this are weights, not shape arithmetic: their values are not followed. */
export const FOLD_LIMIT = 1024;

/** Of reals only a few matter to shapes (scales of Resize); more are weights, which may be costly to look at. */
const REAL_LIMIT = 64;

const INTEGER_RANGE: ReadonlyMap<number, readonly [number, number]> = new Map([
  [DATA_TYPE.uint8, [0, 0xff]],
  [DATA_TYPE.int8, [-0x80, 0x7f]],
  [DATA_TYPE.uint16, [0, 0xffff]],
  [DATA_TYPE.int16, [-0x8000, 0x7fff]],
  [DATA_TYPE.int32, [-0x80000000, 0x7fffffff]],
  [DATA_TYPE.uint32, [0, 0xffffffff]],
  // Wider integers are followed as far as a double counts exactly.
  [DATA_TYPE.int64, [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]],
  [DATA_TYPE.uint64, [0, Number.MAX_SAFE_INTEGER]],
]);

export function isInteger(dtype: number | undefined): boolean {
  return dtype !== undefined && INTEGER_RANGE.has(dtype);
}

export function isFloat(dtype: number | undefined): boolean {
  return dtype === DATA_TYPE.float32 || dtype === DATA_TYPE.float64;
}

/** An element as the type stores it; undefined when it does not fit, or when the type's rounding is not followed. */
function stored(dtype: number | undefined, element: Dim): Dim {
  if (dtype === undefined || element === undefined) return undefined;
  const range = INTEGER_RANGE.get(dtype);
  if (typeof element === 'string') return range ? element : undefined;
  if (range) return Number.isInteger(element) && element >= range[0] && element <= range[1] ? element : undefined;
  if (dtype === DATA_TYPE.float32) return Math.fround(element);
  if (dtype === DATA_TYPE.float64) return element;
  if (dtype === DATA_TYPE.bool) return element === 0 ? 0 : 1;
  return undefined;
}

/** The shape when every dimension is a number and there are few enough elements to follow. */
export function foldableShape(shape: readonly Dim[] | undefined): readonly number[] | undefined {
  let elements = 1;
  for (const dim of shape ?? [undefined]) {
    if (typeof dim !== 'number') return undefined;
    elements *= dim;
  }
  return elements <= FOLD_LIMIT ? (shape as readonly number[]) : undefined;
}

function strides(shape: readonly number[]): number[] {
  const result = new Array<number>(shape.length);
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    result[i] = stride;
    stride *= shape[i] as number;
  }
  return result;
}

function tabulate(shape: readonly number[], element: (index: readonly number[]) => Dim): Dim[] {
  const total = shape.reduce((a, b) => a * b, 1);
  const index = new Array<number>(shape.length).fill(0);
  const result: Dim[] = [];
  for (let n = 0; n < total; n++) {
    result.push(element(index));
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] as number) + 1;
      if ((index[axis] as number) < (shape[axis] as number)) break;
      index[axis] = 0;
    }
  }
  return result;
}

/** A tensor with the value given if any of it is known. */
export function known(dtype: number | undefined, shape: readonly Dim[] | undefined, value?: readonly Dim[]): Known {
  return value?.some((e) => e !== undefined) || value?.length === 0 ? { dtype, shape, value } : { dtype, shape };
}

/** A tensor whose every element is some element of `source`: Slice, Gather, Transpose, Expand and their like. */
export function selected(
  source: Known,
  shape: readonly Dim[] | undefined,
  from: (index: readonly number[]) => readonly number[] | undefined,
): Known {
  const target = foldableShape(shape);
  const origin = foldableShape(source.shape);
  if (!target || !origin || !source.value) return { dtype: source.dtype, shape };
  const step = strides(origin);
  const value = tabulate(target, (index) => {
    const at = from(index);
    return at && source.value?.[at.reduce((sum, i, axis) => sum + i * (step[axis] as number), 0)];
  });
  return known(source.dtype, shape, value);
}

/** The index into a tensor of `shape` that broadcasting reads for an index of the result. */
export function broadcastIndex(shape: readonly Dim[], index: readonly number[]): number[] {
  const skip = index.length - shape.length;
  return shape.map((dim, axis) => (dim === 1 ? 0 : (index[axis + skip] as number)));
}

/** The result of an elementwise operator, with its value where the inputs' are known. */
export function elementwise(
  inputs: readonly Known[],
  dtype: number | undefined,
  shape: readonly Dim[] | undefined,
  f: ((...elements: Dim[]) => Dim) | undefined,
): Known {
  const target = foldableShape(shape);
  if (!f || !target) return { dtype, shape };
  // Of integers a part may be known; of reals that is never of use.
  const worthwhile = inputs.some((input) => isFloat(input.dtype))
    ? inputs.every((input) => input.value)
    : inputs.some((input) => input.value);
  if (!worthwhile) return { dtype, shape };
  const parts = inputs.map(
    (input) => selected(input, shape, (index) => broadcastIndex(input.shape ?? [], index)).value,
  );
  const total = target.reduce((a, b) => a * b, 1);
  const value: Dim[] = [];
  for (let i = 0; i < total; i++) value.push(stored(dtype, f(...parts.map((part) => part?.[i]))));
  return known(dtype, shape, value);
}

const READERS: ReadonlyMap<number, { bytes: number; read: (view: DataView, at: number) => number }> = new Map([
  [DATA_TYPE.float32, { bytes: 4, read: (v, at) => v.getFloat32(at, true) }],
  [DATA_TYPE.float64, { bytes: 8, read: (v, at) => v.getFloat64(at, true) }],
  [DATA_TYPE.int8, { bytes: 1, read: (v, at) => v.getInt8(at) }],
  [DATA_TYPE.uint8, { bytes: 1, read: (v, at) => v.getUint8(at) }],
  [DATA_TYPE.bool, { bytes: 1, read: (v, at) => v.getUint8(at) }],
  [DATA_TYPE.int16, { bytes: 2, read: (v, at) => v.getInt16(at, true) }],
  [DATA_TYPE.uint16, { bytes: 2, read: (v, at) => v.getUint16(at, true) }],
  [DATA_TYPE.int32, { bytes: 4, read: (v, at) => v.getInt32(at, true) }],
  [DATA_TYPE.uint32, { bytes: 4, read: (v, at) => v.getUint32(at, true) }],
  [DATA_TYPE.int64, { bytes: 8, read: (v, at) => Number(v.getBigInt64(at, true)) }],
  [DATA_TYPE.uint64, { bytes: 8, read: (v, at) => Number(v.getBigUint64(at, true)) }],
]);

/**
 * What is known of a constant: all of its type, and its elements when they are few and in memory. These are read when a
 * rule first asks for them, so that a model whose weights are made on demand can be inferred without making them.
 */
export function constantOf(tensor: Initializer | undefined): Known {
  if (!tensor) return UNKNOWN;
  const type = { dtype: tensor.dataType, shape: tensor.dims };
  const total = tensor.dims.reduce((a, b) => a * b, 1);
  const limit = isFloat(tensor.dataType) ? REAL_LIMIT : FOLD_LIMIT;
  if (total > limit || !READERS.has(tensor.dataType)) return type;
  let value: readonly Dim[] | undefined;
  return {
    ...type,
    get value() {
      value ??= elementsOf(tensor, total);
      return value;
    },
  };
}

function elementsOf({ dataType, data }: Initializer, total: number): readonly Dim[] | undefined {
  const reader = READERS.get(dataType);
  if (!reader || data.kind !== 'raw' || data.bytes.byteLength < total * reader.bytes) return undefined;
  const { buffer, byteOffset, byteLength } = data.bytes;
  const view = new DataView(buffer, byteOffset, byteLength);
  return Array.from({ length: total }, (_, i) => reader.read(view, i * reader.bytes));
}
