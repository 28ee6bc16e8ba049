import { floatAttr, intsAttr, stringAttr } from '../../../onnx/attribute.js';
import { initializerElements } from '../../../onnx/initializer.js';
import type { Node } from '../../../onnx/model.js';
import { clipBounds } from './clip.js';
import { productOf } from './products.js';
import { allFinite, type View, weightValues } from './view.js';

/**
 * What quantising does with a type of node, as ONNX Runtime's int8 kernels for the CPU have it:
 * - `product`: multiplies by int8 weights, or two activations; where there are none of these, nothing gains
 * - `between`: has an int8 kernel with a range of its own for its output; worth it between others that are int8
 * - `pass`: moves or picks elements, or picks the largest: its output has its input's scale and zero point
 * - `clip`: cuts values off, as the range of what comes before can
 * - `table`: picks rows of a table of weights
 */
export type Kind = 'product' | 'between' | 'pass' | 'clip' | 'table';

export interface NodeType {
  readonly kind: Kind;
  /** Left in float unless `nodeTypes` names it. */
  readonly optional?: (node: Node, view: View) => boolean;
  /** Its output is larger than its input: it is int8 only where int8 is wanted behind it. */
  readonly grows?: boolean;
  /** Positions of the inputs that are quantised as activations. */
  activations(node: Node, view: View): readonly number[];
  /** Why a node of this type stays in float nevertheless. */
  refusal?(node: Node, view: View): string | undefined;
}

const first = (): readonly number[] => [0];
const all = (node: Node): readonly number[] => node.inputs.map((_, i) => i).filter((i) => node.inputs[i] !== '');

const product: NodeType = {
  kind: 'product',
  activations: (node, view) => (productOf(node, view).weight === undefined ? [0, 1] : [0]),
  refusal: (node, view) => productOf(node, view).refusal,
};
const binary: NodeType = { kind: 'between', activations: all };
const unary: NodeType = { kind: 'between', activations: first };
const pass: NodeType = { kind: 'pass', activations: first };
const growing: NodeType = { ...pass, grows: true };
const clip: NodeType = {
  kind: 'clip',
  activations: first,
  refusal: (node, view) => (clipBounds(node, view) ? undefined : 'its bounds are not constant, or do not include 0'),
};

/** Tables of fewer elements than this stay in float: nothing gains. */
const LEAST_TABLE = 1024;

/** Every type of node that can be quantised. Others stay in float and are named. */
export const NODE_TYPES: Readonly<Record<string, NodeType>> = {
  Conv: product,
  Gemm: product,
  MatMul: product,
  Add: binary,
  Mul: binary,
  Concat: binary,
  AveragePool: {
    ...unary,
    refusal: (node) =>
      intsAttr(node, 'dilations')?.some((d) => d !== 1) ? 'the int8 kernel has no dilations' : undefined,
  },
  GlobalAveragePool: unary,
  Sigmoid: unary,
  LeakyRelu: unary,
  // Eight bits are few for a share of attention: see "Softmax" in docs/quantise.md.
  Softmax: { ...unary, optional: () => true },
  MaxPool: {
    ...pass,
    refusal: (node) => (node.outputs.length > 1 && node.outputs[1] !== '' ? 'its indices are used' : undefined),
  },
  Reshape: pass,
  Transpose: pass,
  Squeeze: pass,
  Unsqueeze: pass,
  Flatten: pass,
  Slice: pass,
  Split: pass,
  Expand: growing,
  Tile: growing,
  Pad: {
    ...growing,
    refusal: (node, view) => {
      if ((stringAttr(node, 'mode') ?? 'constant') !== 'constant') return undefined;
      return padValue(node, view) === 0 ? undefined : 'it pads with something else than 0';
    },
  },
  Resize: {
    ...growing,
    refusal: (node) => ((stringAttr(node, 'mode') ?? 'nearest') === 'cubic' ? 'cubic has no int8 kernel' : undefined),
  },
  Relu: clip,
  Clip: clip,
  Gather: {
    kind: 'table',
    activations: () => [],
    refusal: (node, view) => {
      const table = view.weight(node.inputs[0] as string);
      if (!table) return 'its table is no weight';
      if (initializerElements(table) < LEAST_TABLE) return 'its table is small';
      return allFinite(table) ? undefined : 'its table is not finite';
    },
  },
};

/** What a constant Pad puts in: a constant's value; undefined when it is worked out at run time. */
function padValue(node: Node, view: View): number | undefined {
  const name = node.inputs[2];
  if (!name) return floatAttr(node, 'value') ?? 0;
  const weight = view.weight(name);
  return weight && weightValues(weight)[0];
}
