import { floatAttr, intAttr } from '../../../onnx/attribute.js';
import type { Initializer, Node } from '../../../onnx/model.js';
import { allFinite, type View } from './view.js';

/** A node that multiplies by weights, or multiplies two activations. */
export interface Product {
  /** Why it cannot be int8. */
  readonly refusal?: string;
  /** Undefined when both factors are activations. */
  readonly weight?: Initializer;
  /** The weight's axis of output channels; undefined where int8 kernels know no scales by channel. */
  readonly axis?: number;
  /** What the weight is multiplied by before it is quantised: Gemm's alpha. */
  readonly alpha: number;
  readonly bias?: Initializer;
  /** Likewise the bias: Gemm's beta. */
  readonly beta: number;
}

const plain = { alpha: 1, beta: 1 } as const;

/** Weights are looked through once, not each time that somebody asks. */
const known = new WeakMap<View, Map<Node, Product>>();

/** How Conv, Gemm or MatMul multiplies. */
export function productOf(node: Node, view: View): Product {
  const ofView = known.get(view) ?? new Map<Node, Product>();
  known.set(view, ofView);
  const product = ofView.get(node) ?? examined(node, view);
  ofView.set(node, product);
  return product;
}

function examined(node: Node, view: View): Product {
  const [a, b, c] = node.inputs as [string, string, string | undefined];
  if (view.index.isConstant(a)) return { ...plain, refusal: 'its first factor is constant' };
  const weight = view.weight(b);
  if (node.opType === 'MatMul') return matMul(weight, view.index.isConstant(b));
  if (!weight) return { ...plain, refusal: 'its weights are worked out at run time' };
  if (!allFinite(weight)) return { ...plain, refusal: 'a weight is not finite' };
  const bias = c ? view.weight(c) : undefined;
  if (c && !bias) return { ...plain, refusal: 'its bias is worked out at run time' };
  if (bias && !allFinite(bias)) return { ...plain, refusal: 'a bias is not finite' };
  if (node.opType === 'Conv') return { ...plain, weight, axis: 0, ...(bias && { bias }) };
  const axis = intAttr(node, 'transB') ? 0 : 1;
  if (bias && !isRow(bias, weight.dims[axis] as number)) {
    return { ...plain, refusal: 'its bias is not the same for every row' };
  }
  const [alpha, beta] = [floatAttr(node, 'alpha') ?? 1, floatAttr(node, 'beta') ?? 1];
  return { weight, axis, alpha, beta, ...(bias && { bias }) };
}

function matMul(weight: Initializer | undefined, constant: boolean): Product {
  if (!weight) return { ...plain, ...(constant && { refusal: 'its weights are made by other nodes' }) };
  if (weight.dims.length < 2) return { ...plain, refusal: 'it multiplies by a vector' };
  if (!allFinite(weight)) return { ...plain, refusal: 'a weight is not finite' };
  // Kernels have scales by column for a matrix alone, not for a stack of them.
  return { ...plain, weight, ...(weight.dims.length === 2 && { axis: 1 }) };
}

/** Whether a Gemm's C is one row of `columns` numbers, or one number for all. */
function isRow({ dims }: Initializer, columns: number): boolean {
  const elements = dims.reduce((a, b) => a * b, 1);
  return elements === 1 || (elements === columns && dims.at(-1) === columns);
}
