import { selected } from '../fold.js';
import { DATA_TYPE } from '../model.js';
import { axisOf, type Rule, type Rules, withDim } from './context.js';

const gather: Rule = (c) => {
  const data = c.shape(0);
  const indices = c.shape(1);
  const axis = data && axisOf(c.int('axis', 0), data.length);
  if (!data || !indices || axis === undefined) return [{ dtype: c.dtype(0), shape: undefined }];
  const positions = selected(c.input(1), indices, (index) => index).value;
  const size = data[axis];
  // Gathering is done on lists and scalars of indices: what shape arithmetic uses.
  const from = (index: readonly number[]): number[] | undefined => {
    const position = positions?.[indices.length === 0 ? 0 : (index[axis] as number)];
    if (typeof position !== 'number' || typeof size !== 'number' || indices.length > 1) return undefined;
    const rest = index.slice(axis + indices.length);
    return [...index.slice(0, axis), position < 0 ? position + size : position, ...rest];
  };
  return [selected(c.input(0), [...data.slice(0, axis), ...indices, ...data.slice(axis + 1)], from)];
};

const gatherND: Rule = (c) => {
  const data = c.shape(0);
  const indices = c.shape(1);
  const depth = indices?.at(-1);
  if (!data || !indices || typeof depth !== 'number') return [{ dtype: c.dtype(0), shape: undefined }];
  const taken = c.int('batch_dims', 0) + depth;
  return [{ dtype: c.dtype(0), shape: [...indices.slice(0, -1), ...data.slice(taken)] }];
};

const oneHot: Rule = (c) => {
  const indices = c.shape(0);
  if (!indices) return [{ dtype: c.dtype(2), shape: undefined }];
  const axis = axisOf(c.int('axis', -1), indices.length + 1);
  if (axis === undefined) return [{ dtype: c.dtype(2), shape: undefined }];
  return [{ dtype: c.dtype(2), shape: [...indices.slice(0, axis), c.value(1)?.[0], ...indices.slice(axis)] }];
};

const compress: Rule = (c) => {
  const shape = c.shape(0);
  const axis = c.int('axis');
  if (axis === undefined) return [{ dtype: c.dtype(0), shape: [undefined] }];
  const at = shape && axisOf(axis, shape.length);
  return [{ dtype: c.dtype(0), shape: shape && at !== undefined ? withDim(shape, at, undefined) : undefined }];
};

const unique: Rule = (c) => {
  const list = { dtype: DATA_TYPE.int64, shape: [undefined] };
  return [compress(c)[0] ?? list, list, list, list];
};

/** Operators that read by index. */
export const indexingRules: Rules = {
  Gather: gather,
  GatherElements: (c) => [{ dtype: c.dtype(0), shape: c.shape(1) }],
  GatherND: gatherND,
  OneHot: oneHot,
  Compress: compress,
  Unique: unique,
  NonZero: (c) => [{ dtype: DATA_TYPE.int64, shape: [c.shape(0)?.length, undefined] }],
  NonMaxSuppression: () => [{ dtype: DATA_TYPE.int64, shape: [undefined, 3] }],
};
