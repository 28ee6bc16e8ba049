import { TierbedError } from '../../base/errors.js';
import { intAttr, subgraphs } from '../attribute.js';
import type { GraphBuilder, Value } from '../build.js';
import { GraphIndex } from '../graph.js';
import type { TensorType } from '../infer.js';
import { initializerTensor } from '../initializer.js';
import { DATA_TYPE, dtypeOf, type Node } from '../model.js';
import type { DenseTensor } from '../tensor.js';
import { GradNode, type RowGradient } from './grad-node.js';
import { gradRule } from './index.js';

/** The gradient of a loss by a tensor: a tensor of its shape, or picked rows of a table, to be added up outside. */
export type Gradient =
  | { readonly kind: 'dense'; readonly tensor: Value }
  | { readonly kind: 'rows'; readonly parts: readonly RowGradient[] };

export interface DifferentiateOptions {
  /** Types of all tensors, every dimension a number. */
  readonly shapes: ReadonlyMap<string, TensorType>;
  /** Whether the gradient of a table of which a Gather takes rows may be these rows; false unless told: all are dense. */
  readonly rows?: boolean;
}

/**
 * Adds to a graph the nodes that compute the gradients of a loss: reverse-mode differentiation (Griewank and Walther,
 * Evaluating Derivatives, 2008, chapter 3), node by node from the loss back. What the loss does not depend on is no
 * entry of the result.
 *
 * @param loss a float32 tensor of one element
 * @param wrt inputs, initializers or inner tensors of the graph, float32
 * @throws TierbedError `invalid` for an operator without a rule, by the node's name
 */
export function differentiate(
  builder: GraphBuilder,
  loss: Value,
  wrt: readonly Value[],
  options: DifferentiateOptions,
): ReadonlyMap<Value, Gradient> {
  const one = builder.node('Reshape', [builder.float32([1]), builder.int64(dimsOf(options.shapes, loss))]);
  return propagate(builder, new Map([[loss, one]]), wrt, options);
}

/**
 * As `differentiate`, from the gradients of a loss by any tensors of a graph, whatever the loss is made of.
 *
 * @param from the gradient by each tensor, of its shape
 */
export function propagate(
  builder: GraphBuilder,
  from: ReadonlyMap<Value, Value>,
  wrt: readonly Value[],
  options: DifferentiateOptions,
): ReadonlyMap<Value, Gradient> {
  const { shapes } = options;
  const graph = builder.buildGraph();
  const index = new GraphIndex(graph);
  const relevant = between(index, [...from.keys()], wrt);
  const tables = options.rows ? tablesOf(index, wrt) : new Set<Value>();
  const dense = new Map<Value, Value[]>();
  const rows = new Map<Value, RowGradient[]>();
  const give = (tensor: Value, gradient: Value): void => {
    const list = dense.get(tensor);
    if (list) list.push(gradient);
    else dense.set(tensor, [gradient]);
  };
  const sumOf = (tensor: Value): Value | undefined => {
    const parts = dense.get(tensor);
    if (!parts) return undefined;
    // One after another, and not all at once: each part is free as soon as it is added.
    const sum = parts.reduce((total, part) => builder.node('Add', [total, part]));
    dense.set(tensor, [sum]);
    return sum;
  };
  for (const [tensor, gradient] of from) give(tensor, gradient);
  const constants = constantsOf(index);
  for (const position of index.order.toReversed()) {
    const node = graph.nodes[position] as Node;
    if (!relevant.nodes.has(position)) continue;
    const outputGradients = node.outputs.map((name) => (name === '' ? undefined : sumOf(name)));
    if (outputGradients.every((gradient) => gradient === undefined)) continue;
    const rule = ruleOf(node);
    const at = new GradNode({
      ...{ node, builder, outputGradients, shapes, constants },
      wanted: node.inputs.map(
        (name, i) => relevant.tensors.has(name) && (standsForFloats(node, i) || carriesGradient(node, shapes, name)),
      ),
      takesRows: node.inputs.map((name) => tables.has(name)),
    });
    const gradients = rule.gradient(at);
    for (const [i, name] of node.inputs.entries()) {
      const gradient = gradients[i];
      if (gradient !== undefined && at.wants(i)) give(name, gradient);
      const picked = at.rowsOf(i);
      if (picked) rows.set(name, [...(rows.get(name) ?? []), picked]);
    }
  }
  return new Map(
    wrt.flatMap((tensor): [Value, Gradient][] => {
      const picked = rows.get(tensor);
      const sum = sumOf(tensor);
      if (picked && sum === undefined) return [[tensor, { kind: 'rows', parts: picked }]];
      if (picked) throw new TierbedError('internal', `${tensor} has a gradient by rows and one that is dense`);
      return sum === undefined ? [] : [[tensor, { kind: 'dense', tensor: sum }]];
    }),
  );
}

/** Nodes and tensors on a way from some tensors to others. */
function between(index: GraphIndex, ends: readonly Value[], wrt: readonly Value[]) {
  const needed = index.ancestors(ends);
  const tensors = new Set(wrt);
  const nodes = new Set<number>();
  for (const position of index.order) {
    if (!needed.has(position)) continue;
    if (![...(index.uses[position] as ReadonlySet<string>)].some((name) => tensors.has(name))) continue;
    nodes.add(position);
    for (const name of (index.graph.nodes[position] as Node).outputs) if (name !== '') tensors.add(name);
  }
  return { nodes, tensors };
}

/** Tensors that nothing but Gather over the first axis takes. */
function tablesOf(index: GraphIndex, wrt: readonly Value[]): ReadonlySet<Value> {
  const picks = (position: number, tensor: Value): boolean => {
    const node = index.graph.nodes[position] as Node;
    return node.opType === 'Gather' && node.inputs[0] === tensor && (intAttr(node, 'axis') ?? 0) === 0;
  };
  const alone = (tensor: Value): boolean =>
    !index.producer.has(tensor) && (index.consumers.get(tensor) ?? []).every((position) => picks(position, tensor));
  return new Set(wrt.filter(alone));
}

function ruleOf(node: Node) {
  const rule = gradRule(node);
  if (rule && subgraphs(node).length === 0) return rule;
  const name = node.name || node.outputs[0];
  const type = node.domain === '' ? node.opType : `${node.domain}.${node.opType}`;
  throw new TierbedError('invalid', `node ${name}: there is no gradient rule for ${type}`, {
    fix: 'Freeze what is before it, or add a rule: a file in onnx/grad and an entry in its table.',
  });
}

function dimsOf(shapes: ReadonlyMap<string, TensorType>, tensor: Value): number[] {
  const dims = shapes.get(tensor)?.shape;
  const elements = dims?.reduce<number>((product, dim) => product * (typeof dim === 'number' ? dim : Number.NaN), 1);
  if (elements !== 1) throw new TierbedError('internal', `the loss ${tensor} is not one number`);
  return dims as number[];
}

const OTHER_FLOATS: ReadonlySet<number | undefined> = new Set(
  (['float16', 'bfloat16', 'float64'] as const).map((dtype) => DATA_TYPE[dtype]),
);

/** Gradients are of float32: integers (indices, shapes, masks) carry none. @throws TierbedError `invalid` for other floats */
function carriesGradient(node: Node, shapes: ReadonlyMap<string, TensorType>, tensor: Value): boolean {
  const dtype = shapes.get(tensor)?.dtype;
  if (!OTHER_FLOATS.has(dtype)) return dtype === undefined || dtype === DATA_TYPE.float32;
  throw new TierbedError(
    'invalid',
    `node ${node.name || node.outputs[0]} takes ${tensor} as ${dtypeOf(dtype as number)}`,
    {
      fix: 'Train the model in float32: gradients are of no other type.',
    },
  );
}

/** Steps of a quantisation carry the gradient of the numbers that they stand for. */
function standsForFloats({ opType }: Node, input: number): boolean {
  return STEPS[opType]?.includes(input) ?? false;
}

/** Positions of the inputs that are steps of what is differentiated by. */
const STEPS: Readonly<Record<string, readonly number[]>> = {
  DequantizeLinear: [0],
  QLinearAdd: [0, 3],
  QLinearMul: [0, 3],
};

function constantsOf(index: GraphIndex): (tensor: string) => DenseTensor | undefined {
  const initializers = new Map(index.graph.initializers.map((each) => [each.name, each]));
  return (tensor) => {
    const found = initializers.get(tensor);
    if (!found) return undefined;
    const value = initializerTensor(found);
    return value.dtype === 'string' ? undefined : value;
  };
}
