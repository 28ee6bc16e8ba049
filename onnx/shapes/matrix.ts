import { DATA_TYPE, type Dim } from '../model.js';
import { broadcastShapes } from './broadcast.js';
import { type Known, type NodeContext, type Rule, type Rules, withDim } from './context.js';
import { broadcastDim, divideDims, meetDim } from './dims.js';

/** NumPy's matmul: the shape of a @ b. */
export function matmulShape(a: readonly Dim[] | undefined, b: readonly Dim[] | undefined): readonly Dim[] | undefined {
  if (!a || !b || a.length === 0 || b.length === 0) return undefined;
  const left = a.length === 1 ? [1, ...a] : a;
  const right = b.length === 1 ? [...b, 1] : b;
  const batch = broadcastShapes([left.slice(0, -2), right.slice(0, -2)]);
  if (!batch) return undefined;
  return [...batch, ...(a.length === 1 ? [] : [left.at(-2)]), ...(b.length === 1 ? [] : [right.at(-1)])];
}

function product(a: number, b: number, dtype: (c: NodeContext) => number | undefined): Rule {
  return (c) => [{ dtype: dtype(c), shape: matmulShape(c.shape(a), c.shape(b)) }];
}

function gemm(c: NodeContext, a: number, b: number, dtype: number | undefined): Known[] {
  const rows = c.shape(a)?.[c.int('transA', 0) === 0 ? 0 : 1];
  const columns = c.shape(b)?.[c.int('transB', 0) === 0 ? 1 : 0];
  return [{ dtype, shape: [rows, columns] }];
}

/** com.microsoft FusedMatMul: matmul of operands with their last two axes swapped. */
const fusedMatMul: Rule = (c) => {
  if (c.int('transBatchA', 0) !== 0 || c.int('transBatchB', 0) !== 0) return [{ dtype: c.dtype(0), shape: undefined }];
  const swapped = (shape: readonly Dim[] | undefined, swap: boolean) =>
    swap && shape && shape.length > 1 ? [...shape.slice(0, -2), shape.at(-1), shape.at(-2)] : shape;
  const a = swapped(c.shape(0), c.int('transA', 0) !== 0);
  return [{ dtype: c.dtype(0), shape: matmulShape(a, swapped(c.shape(1), c.int('transB', 0) !== 0)) }];
};

/** The labels of an Einsum term; each axis that `...` stands for is labelled `.0`, `.1`... from the right. */
function einsumLabels(term: string, rank: number): string[] {
  const [before, after] = term.split('...');
  if (after === undefined) return [...term];
  const hidden = rank - (before as string).length - after.length;
  const ellipsis = Array.from({ length: Math.max(hidden, 0) }, (_, i) => `.${hidden - 1 - i}`);
  return [...(before as string), ...ellipsis, ...after];
}

/**
 * The size of every label of an Einsum equation, and the labels of its result, in order.
 *
 * @returns undefined when an operand's rank is not known or does not fit
 */
export function einsumSizes(
  equation: string,
  operands: readonly (readonly Dim[] | undefined)[],
): { sizes: ReadonlyMap<string, Dim>; output: readonly string[] } | undefined {
  const [left, right] = equation.replaceAll(' ', '').split('->');
  const terms = (left ?? '').split(',');
  const sizes = new Map<string, Dim>();
  const count = new Map<string, number>();
  for (const [i, shape] of operands.entries()) {
    if (!shape) return undefined;
    const labels = einsumLabels(terms[i] ?? '', shape.length);
    if (labels.length !== shape.length) return undefined;
    for (const [axis, label] of labels.entries()) {
      const dim = shape[axis];
      const combine = label.startsWith('.') ? broadcastDim : meetDim;
      sizes.set(label, sizes.has(label) ? combine(sizes.get(label), dim) : dim);
      count.set(label, (count.get(label) ?? 0) + 1);
    }
  }
  const ellipsis = [...sizes.keys()].filter((label) => label.startsWith('.'));
  const ordered = ellipsis.sort((a, b) => Number(b.slice(1)) - Number(a.slice(1)));
  if (right === undefined) {
    const once = [...sizes.keys()].filter((label) => !label.startsWith('.') && count.get(label) === 1);
    return { sizes, output: [...ordered, ...once.sort()] };
  }
  const [before, after] = right.split('...');
  return { sizes, output: after === undefined ? [...right] : [...(before as string), ...ordered, ...after] };
}

const einsum: Rule = (c) => {
  const operands = Array.from({ length: c.inputCount }, (_, i) => c.shape(i));
  const found = einsumSizes(c.string('equation', ''), operands);
  return [{ dtype: c.dtype(0), shape: found?.output.map((label) => found.sizes.get(label)) }];
};

/** com.microsoft Attention: input [batch, sequence, in], weights [in, q + k + v]. */
const attention: Rule = (c) => {
  const sizes = c.ints('qkv_hidden_sizes');
  const input = c.shape(0);
  const hidden = sizes ? sizes[2] : divideDims(c.shape(1)?.[1], 3);
  return [{ dtype: c.dtype(0), shape: input?.length === 3 ? withDim(input, 2, hidden) : undefined }];
};

/** com.microsoft MultiHeadAttention: query [batch, sequence, q], value [batch, sequence, v]. */
const multiHeadAttention: Rule = (c) => {
  const query = c.shape(0);
  const value = c.shape(2);
  if (query?.length !== 3 || value?.length !== 3) return [{ dtype: c.dtype(0), shape: undefined }];
  return [{ dtype: c.dtype(0), shape: withDim(query, 2, value[2]) }];
};

/** Matrix products. */
export const matrixRules: Rules = {
  MatMul: product(0, 1, (c) => c.dtype(0) ?? c.dtype(1)),
  MatMulInteger: product(0, 1, () => DATA_TYPE.int32),
  QLinearMatMul: product(0, 3, (c) => c.dtype(7)),
  Gemm: (c) => gemm(c, 0, 1, c.dtype(0) ?? c.dtype(1)),
  Einsum: einsum,
  Det: (c) => [{ dtype: c.dtype(0), shape: c.shape(0)?.slice(0, -2) }],
  'com.microsoft:FusedGemm': (c) => gemm(c, 0, 1, c.dtype(0)),
  'com.microsoft:QGemm': (c) => gemm(c, 0, 3, c.has(8) ? c.dtype(8) : DATA_TYPE.float32),
  'com.microsoft:FusedMatMul': fusedMatMul,
  'com.microsoft:TransposeMatMul': fusedMatMul,
  'com.microsoft:MatMulIntegerToFloat': product(0, 1, (c) => c.dtype(2)),
  'com.microsoft:DynamicQuantizeMatMul': product(0, 1, (c) => c.dtype(0)),
  'com.microsoft:MatMulNBits': (c) => {
    const shape = c.shape(0);
    return [{ dtype: c.dtype(0), shape: shape && withDim(shape, shape.length - 1, c.int('N')) }];
  },
  'com.microsoft:Attention': attention,
  'com.microsoft:MultiHeadAttention': multiHeadAttention,
};
