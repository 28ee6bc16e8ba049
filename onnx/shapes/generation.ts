import { constantOf, known } from '../fold.js';
import { DATA_TYPE, type Dim } from '../model.js';
import { type NodeContext, type Rule, type Rules, unknownDims } from './context.js';
import { atMost, productOf, subtractDims } from './dims.js';

const constant: Rule = (c) => {
  const [float, int] = [c.float('value_float'), c.int('value_int')];
  if (float !== undefined) return [known(DATA_TYPE.float32, [], [float])];
  if (int !== undefined) return [known(DATA_TYPE.int64, [], [int])];
  const floats = c.floats('value_floats');
  if (floats) return [known(DATA_TYPE.float32, [floats.length], floats)];
  const ints = c.ints('value_ints');
  if (ints) return [known(DATA_TYPE.int64, [ints.length], ints)];
  return [constantOf(c.tensor('value'))];
};

const constantOfShape: Rule = (c) => {
  const fill = c.tensor('value') ? constantOf(c.tensor('value')) : known(DATA_TYPE.float32, [1], [0]);
  const length = c.shape(0)?.[0];
  const target = c.value(0) ?? (typeof length === 'number' ? unknownDims(length) : undefined);
  const total = target && productOf(target);
  if (typeof total !== 'number' || total > 1024 || !fill.value) return [{ dtype: fill.dtype, shape: target }];
  return [known(fill.dtype, target, new Array<Dim>(total).fill(fill.value[0]))];
};

const shapeOf: Rule = (c) => {
  const shape = c.shape(0);
  if (!shape) return [{ dtype: DATA_TYPE.int64, shape: [undefined] }];
  const part = shape.slice(c.int('start', 0), c.int('end', shape.length));
  return [known(DATA_TYPE.int64, [part.length], part)];
};

const range: Rule = (c) => {
  const [start, limit, delta] = [c.value(0)?.[0], c.value(1)?.[0], c.value(2)?.[0]];
  const dtype = c.dtype(0);
  if (typeof start === 'number' && typeof limit === 'number' && typeof delta === 'number' && delta !== 0) {
    const count = Math.max(0, Math.ceil((limit - start) / delta));
    const integers = dtype === DATA_TYPE.int64 || dtype === DATA_TYPE.int32;
    if (!integers || count > 1024) return [{ dtype, shape: [count] }];
    return [
      known(
        dtype,
        [count],
        Array.from({ length: count }, (_, i) => start + i * delta),
      ),
    ];
  }
  return [{ dtype, shape: [delta === 1 && atMost(start, limit) ? subtractDims(limit, start) : undefined] }];
};

const random: Rule = (c) => [{ dtype: c.int('dtype', DATA_TYPE.float32), shape: c.ints('shape') }];

/** A window function's samples. */
const window: Rule = (c: NodeContext) => [
  { dtype: c.int('output_datatype', DATA_TYPE.float32), shape: [c.value(0)?.[0]] },
];

/** Operators that make tensors, or tell of their shapes. */
export const generationRules: Rules = {
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Shape: shapeOf,
  Size: (c) => {
    const size = c.shape(0) && productOf(c.shape(0) as readonly Dim[]);
    return [known(DATA_TYPE.int64, [], [size])];
  },
  Range: range,
  RandomNormal: random,
  RandomUniform: random,
  Multinomial: (c) => [{ dtype: c.int('dtype', DATA_TYPE.int32), shape: [c.shape(0)?.[0], c.int('sample_size', 1)] }],
  BlackmanWindow: window,
  HammingWindow: window,
  HannWindow: window,
};
