import { TierbedError } from '../base/errors.js';
import { constantOf } from './fold.js';
import type { Dim, Graph, Model, Node, ValueInfo } from './model.js';
import { probeValues } from './probe.js';
import { type InferGraph, type Known, NodeContext, UNKNOWN, unknownDims } from './shapes/context.js';
import { eitherDim, plainDim, symbolDim } from './shapes/dims.js';
import { expandCall } from './shapes/functions.js';
import { ruleFor } from './shapes/index.js';

/** A tensor's type: a TensorProto.DataType number and a shape. */
export interface TensorType {
  readonly dtype: number;
  /**
   * A number, a symbol of the model's inputs (`N`), an expression over them (`2*N + 1`, `floor((H + 1)/2)`), or undefined
   * when it is not known or depends on the data.
   */
  readonly shape: readonly Dim[];
}

export interface InferOptions {
  /** Numbers for symbolic dimensions, for example `{N: 1}` for the shapes of one item. */
  readonly dims?: Readonly<Record<string, number>>;
  /** Whether tensors that the rules leave open are settled by running the model; true unless told. */
  readonly probe?: boolean;
}

/**
 * Types and shapes of every tensor: inputs, initializers and node outputs, those of subgraphs too where rules reach, and
 * those inside calls of the model's own functions, as `OUTPUT/INNER` with the name of the call's output.
 *
 * The rules of `onnx/shapes/` go first and follow shape arithmetic through the graph. What they leave open is taken from
 * runs of the model with its inner tensors exposed; type and rank at last from what the model's file declares. A tensor of which
 * not even type and rank are known, or that is no tensor (a sequence), is not in the map. A symbol stands for at least 1.
 *
 * @throws TierbedError `invalid` for a model whose functions and loops unfold into hundreds of thousands of nodes
 */
export async function inferValues(model: Model, options: InferOptions = {}): Promise<ReadonlyMap<string, TensorType>> {
  const dims = options.dims ?? {};
  let known = inferKnown(model, dims);
  if (options.probe !== false) {
    const measured = await probeValues(model, dims, known);
    // Once more with what was measured: rules say more of what follows than a run does.
    if (measured.size > 0) known = inferKnown(model, dims, measured);
  }
  const values = new Map<string, TensorType>();
  const add = (name: string, { dtype, shape }: Known) => {
    if (dtype !== undefined && shape) values.set(name, { dtype, shape: shape.map(plainDim) });
  };
  for (const [name, value] of known) add(name, value);
  for (const info of [...model.graph.valueInfo, ...model.graph.outputs]) {
    // Files whose batch was made variable afterwards still declare the old sizes: only type and rank are taken.
    const { dtype, shape } = declared(info, dims);
    if (!values.has(info.name)) add(info.name, { dtype, shape: shape && unknownDims(shape.length) });
  }
  return values;
}

/** Numbers for `dims` that make one item of a model: 1 for every symbol that is the first dimension of an input. */
export function itemDims(model: Model): Readonly<Record<string, number>> {
  const constants = new Set(model.graph.initializers.map((initializer) => initializer.name));
  const dims: Record<string, number> = {};
  for (const { name, type } of model.graph.inputs) {
    const first = type.kind === 'tensor' ? type.shape?.[0] : undefined;
    if (typeof first === 'string' && !constants.has(name)) dims[first] = 1;
  }
  return dims;
}

/** What the model's file says of a tensor. */
function declared({ type }: ValueInfo, dims: Readonly<Record<string, number>>): Known {
  if (type.kind !== 'tensor') return UNKNOWN;
  const dtype = type.elemType === 0 ? undefined : type.elemType;
  return { dtype, shape: type.shape?.map((dim) => boundDim(dim, dims)) };
}

function boundDim(dim: Dim, dims: Readonly<Record<string, number>>): Dim {
  if (typeof dim !== 'string') return dim;
  return Object.hasOwn(dims, dim) ? dims[dim] : symbolDim(dim);
}

/**
 * What rules know of every tensor.
 *
 * @param measured what was measured of tensors, added to what their nodes' rules say
 */
export function inferKnown(
  model: Model,
  dims: Readonly<Record<string, number>>,
  measured: ReadonlyMap<string, Known> = new Map(),
): ReadonlyMap<string, Known> {
  const all = new Map<string, Known>();

  const ofMain = new Set<string>();

  /** Tensors of a subgraph are inferred once or more, and two branches may use the same name for different ones. */
  const record = (name: string, value: Known, inner: boolean) => {
    if (!inner) ofMain.add(name);
    const before = inner ? all.get(name) : undefined;
    if (!inner || !ofMain.has(name)) all.set(name, before ? merged(before, value) : value);
  };

  const inferGraph = (
    graph: Graph,
    inputs: readonly Known[] | undefined,
    outer: Scope,
    opsets: Opsets,
  ): readonly Known[] => {
    const scope: Scope = { values: new Map(), outer };
    const inner = inputs !== undefined;
    const set = (name: string, value: Known) => {
      if (name === '') return;
      scope.values.set(name, value);
      record(name, value, inner);
    };
    const inferNodes = (nodes: readonly Node[], versions: Opsets) => {
      for (const node of nodes) {
        const call = expandCall(model, node);
        if (call) {
          inferNodes(call.nodes, opsetsOf(call));
          continue;
        }
        const outputs = inferNode(node, scope, versions);
        for (const [i, name] of node.outputs.entries()) {
          const found = outputs[i] ?? UNKNOWN;
          const extra = inner ? undefined : measured.get(name);
          set(name, possible(extra ? completed(found, extra) : found));
        }
      }
    };
    // Since IR version 4 an initializer that is also an input is a default that a caller may replace.
    const replaceable = new Set(model.irVersion >= 4 ? graph.inputs.map((input) => input.name) : []);
    const constants = new Set(graph.initializers.map((initializer) => initializer.name));
    for (const [i, input] of graph.inputs.entries()) {
      if (inner) set(input.name, inputs[i] ?? UNKNOWN);
      else if (!constants.has(input.name)) set(input.name, declared(input, dims));
    }
    for (const initializer of graph.initializers) {
      const constant = constantOf(initializer);
      set(initializer.name, replaceable.has(initializer.name) ? typeOnly(constant) : constant);
    }
    for (const { values, dims: shape } of graph.sparseInitializers) {
      set(values.name, { dtype: values.dataType, shape });
    }
    inferNodes(graph.nodes, opsets);
    return graph.outputs.map((output) => lookup(scope, output.name) ?? UNKNOWN);
  };

  let inferred = 0;
  const inferNode = (node: Node, scope: Scope, opsets: Opsets): readonly Known[] => {
    if (++inferred > NODE_LIMIT) {
      throw new TierbedError(
        'invalid',
        `the model stands for over ${NODE_LIMIT} nodes once its functions are written out`,
        {
          fix: 'export the model with its functions and loops written out less deep',
        },
      );
    }
    const rule = ruleFor(node);
    if (!rule) return [];
    const inputs = node.inputs.map((name) => (name === '' ? undefined : (lookup(scope, name) ?? UNKNOWN)));
    const infer: InferGraph = (graph, values) => inferGraph(graph, values, scope, opsets);
    return rule(new NodeContext(node, opsets.get(plainDomain(node.domain)) ?? 1, inputs, infer));
  };

  inferGraph(model.graph, undefined, undefined, opsetsOf(model));
  return all;
}

/** Versions of operator sets by domain. */
type Opsets = ReadonlyMap<string, number>;

function opsetsOf({ opsetImport }: Pick<Model, 'opsetImport'>): Opsets {
  return new Map(opsetImport.map(({ domain, version }) => [plainDomain(domain), version]));
}

/** Functions that call functions, and loops in loops, can make a small file stand for any number of nodes. */
const NODE_LIMIT = 200_000;

/** The tensors visible in a graph: its own, and those of the graphs around it. */
type Scope = { readonly values: Map<string, Known>; readonly outer: Scope } | undefined;

function lookup(scope: Scope, name: string): Known | undefined {
  for (let at = scope; at; at = at.outer) {
    const value = at.values.get(name);
    if (value) return value;
  }
  return undefined;
}

function plainDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}

/** A size below 0 tells that the model cannot run with these dimensions: it is no size. */
function possible(value: Known): Known {
  if (!value.shape?.some((dim) => typeof dim === 'number' && dim < 0)) return value;
  return {
    dtype: value.dtype,
    shape: value.shape.map((dim) => (typeof dim === 'number' && dim < 0 ? undefined : dim)),
  };
}

function typeOnly({ dtype, shape }: Known): Known {
  return { dtype, shape };
}

/** What is true of both of two tensors that share a name. */
function merged(a: Known, b: Known): Known {
  const dtype = a.dtype === b.dtype ? a.dtype : undefined;
  if (!a.shape || !b.shape || a.shape.length !== b.shape.length) return { dtype, shape: undefined };
  return { dtype, shape: a.shape.map((dim, i) => eitherDim(dim, b.shape?.[i])) };
}

/** A rule's knowledge, its gaps filled by a measurement. */
function completed(rule: Known, measured: Known): Known {
  const dtype = rule.dtype ?? measured.dtype;
  if (!rule.shape) return { dtype, shape: measured.shape };
  if (rule.shape.length !== measured.shape?.length) return rule;
  return { ...rule, dtype, shape: rule.shape.map((dim, i) => dim ?? measured.shape?.[i]) };
}
