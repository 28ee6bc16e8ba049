import type { TensorType } from './infer.js';
import type { Attribute, Dim, Graph, Initializer, Model, Node } from './model.js';
import { axisOf } from './shapes/context.js';
import { expandCall } from './shapes/functions.js';
import { operatorName } from './shapes/index.js';
import { einsumSizes } from './shapes/matrix.js';

/** What a node costs. */
export interface NodeCost {
  /** Multiply-accumulates of one run; NaN when a shape that decides them is not known. */
  readonly macs: number;
  /** Elements of the initializers that this node is the first to read. */
  readonly parameters: number;
}

/**
 * Multiply-accumulates and parameters of every node of the main graph.
 *
 * Counted are the products of matrices and kernels, bias left out, as ptflops, fvcore and thop do:
 * - Conv, ConvInteger, QLinearConv: elements(Y) * channels/group * kernel
 * - ConvTranspose: elements(X) * (output channels/group) * kernel
 * - MatMul, Gemm and their integer, quantised and fused forms: elements(Y) * K
 * - Einsum: the product of all labels' sizes, for each operand after the first
 * - RNN, GRU, LSTM: 1, 3, 4 * sequence * batch * directions * hidden * (input + hidden)
 * - com.microsoft Attention, MultiHeadAttention: the projections, Q K^T and the product with V
 *
 * Every other operator counts 0 (activations, normalisations, pools, additions). An If costs its larger branch, a Scan its
 * body as often as it runs, a Loop likewise when its trip count is a constant, a call of one of the model's own functions
 * what the function's nodes cost.
 *
 * @param values types from `inferValues`: with the batch symbols set to 1 (`itemDims`), the figures are those of one item
 */
export function nodeCosts(model: Model, values: ReadonlyMap<string, TensorType>): ReadonlyMap<Node, NodeCost> {
  const sizes = new Map(model.graph.initializers.map((initializer) => [initializer.name, elements(initializer)]));
  for (const { values: stored } of model.graph.sparseInitializers) sizes.set(stored.name, elements(stored));
  const constants = new Map(model.graph.initializers.map((initializer) => [initializer.name, initializer]));
  const costs = new Map<Node, NodeCost>();
  for (const node of model.graph.nodes) {
    let parameters = ownParameters(node);
    for (const name of readNames(node)) {
      parameters += sizes.get(name) ?? 0;
      sizes.delete(name);
    }
    if (node.opType === 'Constant') {
      const value = node.attributes.find((a) => a.name === 'value')?.value;
      if (value?.type === 'tensor' && node.outputs[0]) constants.set(node.outputs[0], value.t);
    }
    costs.set(node, { macs: macsOf(model, node, values, constants), parameters });
  }
  return costs;
}

/**
 * The parameters of a model: all elements of its initializers, those of subgraphs included, whatever their type (so
 * scales, zero points, running statistics and shape constants that are initializers count). Constant nodes do not count.
 */
export function modelParameters(model: Model): number {
  return graphParameters(model.graph);
}

function graphParameters(graph: Graph): number {
  let total = 0;
  for (const initializer of graph.initializers) total += elements(initializer);
  for (const { values } of graph.sparseInitializers) total += elements(values);
  for (const node of graph.nodes) total += ownParameters(node);
  return total;
}

/** Parameters that a node's subgraphs hold. */
function ownParameters(node: Node): number {
  return subgraphs(node.attributes).reduce((total, graph) => total + graphParameters(graph), 0);
}

function elements({ dims }: Initializer): number {
  return dims.reduce((a, b) => a * b, 1);
}

function subgraphs(attributes: readonly Attribute[]): readonly Graph[] {
  return attributes.flatMap(({ value }) =>
    value.type === 'graph' ? [value.g] : value.type === 'graphs' ? value.graphs : [],
  );
}

/** Names of this graph that a node and its subgraphs read. */
function readNames(node: Node): string[] {
  return [...node.inputs, ...subgraphs(node.attributes).flatMap(capturedNames)];
}

function capturedNames({ nodes, inputs, initializers }: Graph): string[] {
  const own = new Set([...inputs, ...initializers].map(({ name }) => name));
  for (const node of nodes) for (const output of node.outputs) own.add(output);
  return nodes.flatMap(readNames).filter((name) => !own.has(name));
}

type Shape = readonly Dim[] | undefined;
/** Shapes of a node's inputs and of its first output. */
type Formula = (node: Node, inputs: readonly Shape[], output: Shape) => number;

/** The number of elements; NaN when a dimension is not a number. */
function size(shape: Shape): number {
  return (shape ?? [undefined]).reduce<number>((total, dim) => total * dimension(dim), 1);
}

function dimension(dim: Dim): number {
  return typeof dim === 'number' ? dim : Number.NaN;
}

function integer(node: Node, name: string, otherwise: number): number {
  const value = node.attributes.find((a) => a.name === name)?.value;
  return value?.type === 'int' ? Number(value.i) : otherwise;
}

function text(node: Node, name: string): string {
  const value = node.attributes.find((a) => a.name === name)?.value;
  return value?.type === 'string' ? Buffer.from(value.s).toString('utf8') : '';
}

function convolution(weights: number): Formula {
  return (_, inputs, output) => size(output) * size(inputs[weights]?.slice(1));
}

const transposedConvolution: Formula = (_, inputs) => size(inputs[0]) * size(inputs[1]?.slice(1));

const product: Formula = (node, inputs, output) => {
  const a = inputs[0];
  return size(output) * dimension(a?.at(integer(node, 'transA', 0) !== 0 && a.length > 1 ? -2 : -1));
};

function recurrence(gates: number): Formula {
  return (_, inputs) => {
    const [x, w] = inputs;
    // W is [directions, gates * hidden, input].
    const hidden = dimension(w?.[1]) / gates;
    const steps = dimension(x?.[0]) * dimension(x?.[1]) * dimension(w?.[0]);
    return steps * gates * hidden * (dimension(w?.[2]) + hidden);
  };
}

const einsum: Formula = (node, inputs) => {
  const found = einsumSizes(text(node, 'equation'), inputs);
  if (!found) return Number.NaN;
  return (inputs.length - 1) * size([...found.sizes.values()]);
};

/** Self-attention with its projections: input [batch, sequence, in], weights [in, q + k + v]. */
const attention: Formula = (_, inputs, output) => {
  const [input, weights] = inputs;
  const [batch, sequence] = [dimension(input?.[0]), dimension(input?.[1])];
  const value = dimension(output?.[2]);
  const query = (dimension(weights?.[1]) - value) / 2;
  return batch * sequence * (size(weights) + sequence * (query + value));
};

const multiHeadAttention: Formula = (_, inputs) => {
  const [query, key, value] = inputs;
  return size(query) * dimension(key?.[1]) + dimension(query?.[1]) * size(value);
};

const FORMULAS: Readonly<Record<string, Formula>> = {
  Conv: convolution(1),
  ConvInteger: convolution(1),
  QLinearConv: convolution(3),
  DeformConv: convolution(1),
  ConvTranspose: transposedConvolution,
  Gemm: product,
  MatMul: product,
  MatMulInteger: product,
  QLinearMatMul: product,
  Einsum: einsum,
  RNN: recurrence(1),
  GRU: recurrence(3),
  LSTM: recurrence(4),
  'com.microsoft:FusedConv': convolution(1),
  'com.microsoft:NhwcFusedConv': convolution(1),
  'com.microsoft.nchwc:Conv': convolution(1),
  'com.microsoft:QLinearConv': convolution(3),
  'com.microsoft:FusedGemm': product,
  'com.microsoft:QGemm': product,
  'com.microsoft:FusedMatMul': product,
  'com.microsoft:MatMulIntegerToFloat': product,
  'com.microsoft:DynamicQuantizeMatMul': product,
  'com.microsoft:MatMulNBits': product,
  'com.microsoft:Attention': attention,
  'com.microsoft:QAttention': attention,
  'com.microsoft:MultiHeadAttention': multiHeadAttention,
};

function macsOf(
  model: Model,
  node: Node,
  values: ReadonlyMap<string, TensorType>,
  constants: ReadonlyMap<string, Initializer>,
): number {
  const sum = (nodes: readonly Node[]) =>
    nodes.reduce((total, inner) => total + macsOf(model, inner, values, constants), 0);
  const call = expandCall(model, node);
  if (call) return sum(call.nodes);
  const bodies = subgraphs(node.attributes).map((graph) => sum(graph.nodes));
  if (bodies.length > 0) {
    const body = bodies.some(Number.isNaN) ? Number.NaN : Math.max(...bodies);
    return body === 0 ? 0 : body * turns(node, values, constants);
  }
  const name = operatorName(node);
  const formula = Object.hasOwn(FORMULAS, name) ? FORMULAS[name] : undefined;
  if (!formula) return 0;
  const shapeOf = (tensor: string | undefined) => (tensor ? values.get(tensor)?.shape : undefined);
  return formula(node, node.inputs.map(shapeOf), shapeOf(node.outputs[0]));
}

/** How often a node runs its subgraph. */
function turns(
  node: Node,
  values: ReadonlyMap<string, TensorType>,
  constants: ReadonlyMap<string, Initializer>,
): number {
  if (node.opType === 'Scan') {
    const scanned = node.inputs.length - integer(node, 'num_scan_inputs', 0);
    const axes = node.attributes.find((a) => a.name === 'scan_input_axes')?.value;
    const shape = values.get(node.inputs[scanned] ?? '')?.shape;
    const axis = shape && axisOf(axes?.type === 'ints' ? Number(axes.ints[0]) : 0, shape.length);
    return dimension(axis === undefined ? undefined : shape?.[axis]);
  }
  if (node.opType !== 'Loop') return 1;
  const count = constants.get(node.inputs[0] ?? '');
  if (count?.data.kind !== 'raw' || count.data.bytes.byteLength !== 8) return Number.NaN;
  const { buffer, byteOffset } = count.data.bytes;
  return Number(new DataView(buffer, byteOffset, 8).getBigInt64(0, true));
}
