import { TierbedError } from '../base/errors.js';
import { modelParameters, nodeCosts } from './cost.js';
import { visitCuts } from './cut.js';
import { dataTypeName, rawBytes } from './data-types.js';
import { CutGraph, type FrontierObserver } from './frontier.js';
import { inferValues, type TensorType } from './infer.js';
import type { Dim, Model, Node, ValueInfo } from './model.js';
import { elementCount } from './tensor.js';

export interface InspectedTensor {
  readonly name: string;
  readonly dtype: string;
  /** A symbol where the size is free, null where nothing is known of it; null when not even the rank is. */
  readonly shape: readonly (number | string | null)[] | null;
}

/** What is on one side of a cut, as its stage file holds it: constants that both sides need count on both. */
export interface Side {
  readonly nodes: number;
  readonly parameters: number;
  /** Null when a shape that decides them is not known. */
  readonly macs: number | null;
}

export interface InspectedCut {
  readonly tensors: readonly string[];
  /** Payload of the tensors for one item; null when a shape is not known or depends on the data. */
  readonly bytes: number | null;
  readonly before: Side;
  readonly after: Side;
}

export interface Inspection {
  readonly inputs: readonly InspectedTensor[];
  readonly outputs: readonly InspectedTensor[];
  /** Version of ai.onnx. */
  readonly opset: number;
  /** Elements of all initializers, whatever their type, those of subgraphs included; Constant nodes do not count. */
  readonly parameters: number;
  /** Multiply-accumulates of one run on one item; null when a shape that decides them is not known. */
  readonly macs: number | null;
  readonly nodes: number;
  readonly cuts: readonly InspectedCut[];
}

export interface InspectOptions {
  /** Sizes of symbolic dimensions by symbol; the others are 1, which makes one item of a batch. */
  readonly dims?: Readonly<Record<string, number>>;
}

/**
 * What a model takes, gives and costs, and where it can be cut, with what crosses and what each side costs.
 *
 * @throws TierbedError `usage` for a symbol that no input has, or a size that is not a whole number from 1
 */
export async function inspectModel(model: Model, options: InspectOptions = {}): Promise<Inspection> {
  const inputs = givenInputs(model);
  const values = await itemValues(model, options.dims ?? {});
  const symbolic = await inferValues(model);
  const costs = nodeCosts(model, values);
  const meter = new CutMeter(model, (node) => costs.get(node)?.macs ?? Number.NaN);
  const cuts: InspectedCut[] = [];
  visitCuts(
    meter.graph,
    (frontier) => {
      const tensors = frontier.crossing();
      cuts.push({ tensors, bytes: itemBytes(tensors, values), before: meter.before, after: meter.after });
    },
    meter,
  );
  const macs = model.graph.nodes.reduce((total, node) => total + (costs.get(node)?.macs ?? Number.NaN), 0);
  return {
    inputs: inputs.map((info) => described(info, undefined)),
    outputs: model.graph.outputs.map((info) => described(info, symbolic.get(info.name))),
    opset: model.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version ?? 0,
    parameters: modelParameters(model),
    macs: Number.isNaN(macs) ? null : macs,
    nodes: model.graph.nodes.length,
    cuts,
  };
}

/** Payload of tensors in bytes; null when the size of one is not known. */
export function itemBytes(tensors: readonly string[], values: ReadonlyMap<string, TensorType>): number | null {
  let total = 0;
  for (const name of tensors) {
    const value = values.get(name);
    const shape = value?.shape ?? [undefined];
    if (!value || !shape.every((dim): dim is number => typeof dim === 'number')) return null;
    const bytes = rawBytes(value.dtype, elementCount(shape));
    if (bytes === undefined) return null;
    total += bytes;
  }
  return total;
}

/** The symbol of an input's dimension; one that has none is called after the input and its axis, as `image.0`. */
export function symbolOf(info: ValueInfo, dim: Dim, axis: number): number | string {
  return dim ?? `${info.name}.${axis}`;
}

/** Inputs that a caller gives: those with an initializer are weights. */
export function givenInputs({ graph }: Model): ValueInfo[] {
  const weights = new Set(graph.initializers.map(({ name }) => name));
  return graph.inputs.filter(({ name }) => !weights.has(name));
}

/**
 * Types and shapes of one item's tensors: every free dimension of the inputs is 1 but for those in `wanted`.
 *
 * @throws TierbedError `usage` as `inspectModel`
 */
export function itemValues(
  model: Model,
  wanted: Readonly<Record<string, number>>,
): Promise<ReadonlyMap<string, TensorType>> {
  const given = new Set(givenInputs(model));
  const dims = sizesOf([...given], wanted);
  const inputs = model.graph.inputs.map((info): ValueInfo => {
    if (info.type.kind !== 'tensor' || !info.type.shape || !given.has(info)) return info;
    const shape = info.type.shape.map((dim, axis) => {
      const symbol = symbolOf(info, dim, axis);
      return typeof symbol === 'string' ? (dims[symbol] ?? symbol) : symbol;
    });
    return { ...info, type: { ...info.type, shape } };
  });
  return inferValues({ ...model, graph: { ...model.graph, inputs } }, { dims });
}

/** The size of every free dimension of the inputs: what the caller says, else 1. */
function sizesOf(
  inputs: readonly ValueInfo[],
  wanted: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  const sizes: Record<string, number> = {};
  for (const info of inputs) {
    if (info.type.kind !== 'tensor') continue;
    info.type.shape?.forEach((dim, axis) => {
      const symbol = symbolOf(info, dim, axis);
      if (typeof symbol === 'string') sizes[symbol] = 1;
    });
  }
  for (const [symbol, size] of Object.entries(wanted)) {
    if (!Object.hasOwn(sizes, symbol)) {
      throw new TierbedError('usage', `no input has a dimension ${symbol}`, {
        fix: `the free dimensions are: ${Object.keys(sizes).join(', ') || 'none'}`,
      });
    }
    if (!Number.isSafeInteger(size) || size < 1) {
      throw new TierbedError('usage', `dimension ${symbol} cannot be ${size}`, { fix: 'give a whole number from 1' });
    }
    sizes[symbol] = size;
  }
  return sizes;
}

/**
 * What each stage of a cut model costs for one item, with the whole model's values, whose names the stages keep.
 *
 * @throws TierbedError `usage` as `inspectModel`
 */
export async function stageFigures(
  model: Model,
  stages: readonly Model[],
  dims: Readonly<Record<string, number>>,
): Promise<{ readonly sides: readonly Side[]; readonly values: ReadonlyMap<string, TensorType> }> {
  const values = await itemValues(model, dims);
  const sides = stages.map((stage): Side => {
    const costs = nodeCosts(stage, values);
    const macs = stage.graph.nodes.reduce((total, node) => total + (costs.get(node)?.macs ?? Number.NaN), 0);
    return {
      nodes: stage.graph.nodes.length,
      parameters: modelParameters(stage),
      macs: Number.isNaN(macs) ? null : macs,
    };
  });
  return { sides, values };
}

/** What the rules say of a tensor goes before what the file says, which may be a symbol of its own for the batch. */
function described({ name, type }: ValueInfo, inferred: TensorType | undefined): InspectedTensor {
  const declared = type.kind === 'tensor' ? type : undefined;
  if (!declared && !inferred) return { name, dtype: type.kind, shape: null };
  const dtype = inferred?.dtype ?? declared?.elemType ?? 0;
  const shape = inferred?.shape.map((dim, axis) => dim ?? declared?.shape?.[axis]) ?? declared?.shape;
  return { name, dtype: dataTypeName(dtype), shape: shape?.map((dim) => dim ?? null) ?? null };
}

interface Weights {
  readonly parameters: number;
  readonly macs: number;
}

/** Counts nodes, parameters and multiply-accumulates of one side while a frontier moves. */
class Tally {
  #nodes = 0;
  #parameters = 0;
  #macs = 0;
  /** Nodes whose macs are not known: NaN could not be taken back. */
  #unknown = 0;

  add({ parameters, macs }: Weights, nodes: number, sign: 1 | -1): void {
    this.#nodes += sign * nodes;
    this.#parameters += sign * parameters;
    if (Number.isNaN(macs)) this.#unknown += sign;
    else this.#macs += sign * macs;
  }

  get side(): Side {
    return { nodes: this.#nodes, parameters: this.#parameters, macs: this.#unknown > 0 ? null : this.#macs };
  }
}

/** Something constant that stages have copies of: an initializer, or a node that depends on constants alone. */
interface Shared {
  readonly weights: Weights;
  readonly nodes: number;
  /** Nodes that need it, by side; and the model's outputs, which are always behind. */
  users: { before: number; after: number };
}

/** Keeps the figures of both sides of a moving cut. */
class CutMeter implements FrontierObserver {
  readonly graph: CutGraph;
  readonly #own: readonly Weights[];
  readonly #shared: readonly (readonly Shared[])[];
  readonly #before = new Tally();
  readonly #after = new Tally();

  constructor(model: Model, macsOf: (node: Node) => number) {
    this.graph = new CutGraph(model.graph);
    const { index } = this.graph;
    const { nodes } = model.graph;
    const weightsOf = (node: Node): Weights => ({ parameters: parametersInside(model, node), macs: macsOf(node) });
    const byNode = new Map<number, Shared>();
    const byName = new Map<string, Shared>();
    const fresh = (weights: Weights, count: number): Shared => ({
      weights,
      nodes: count,
      users: { before: 0, after: 0 },
    });
    for (const { name, dims } of model.graph.initializers) {
      byName.set(name, fresh({ parameters: elementCount(dims), macs: 0 }, 0));
    }
    for (const { values } of model.graph.sparseInitializers) {
      byName.set(values.name, fresh({ parameters: elementCount(values.dims), macs: 0 }, 0));
    }
    const sharedBy = (names: Iterable<string>): Shared[] => {
      const found = new Set<Shared>();
      const constant = [...names].filter((name) => index.isConstant(name));
      const behind = index.ancestors(constant);
      for (const i of behind) {
        let shared = byNode.get(i);
        if (!shared) {
          shared = fresh(weightsOf(nodes[i] as Node), 1);
          byNode.set(i, shared);
        }
        found.add(shared);
      }
      for (const name of [...constant, ...[...behind].flatMap((i) => [...(index.uses[i] ?? [])])]) {
        const shared = byName.get(name);
        if (shared) found.add(shared);
      }
      return [...found];
    };
    this.#own = this.graph.nodes.map((i) => weightsOf(nodes[i] as Node));
    this.#shared = this.graph.nodes.map((i) => sharedBy(index.uses[i] ?? []));
    for (const own of this.#own) this.#after.add(own, 1, 1);
    for (const list of [...this.#shared, sharedBy(model.graph.outputs.map(({ name }) => name))]) {
      for (const shared of list) {
        if (shared.users.after === 0) this.#after.add(shared.weights, shared.nodes, 1);
        shared.users.after++;
      }
    }
  }

  get before(): Side {
    return this.#before.side;
  }

  get after(): Side {
    return this.#after.side;
  }

  added(rank: number): void {
    this.#move(rank, this.#after, this.#before, 'after', 'before');
  }

  removed(rank: number): void {
    this.#move(rank, this.#before, this.#after, 'before', 'after');
  }

  #move(rank: number, from: Tally, to: Tally, fromSide: 'before' | 'after', toSide: 'before' | 'after'): void {
    const own = this.#own[rank] as Weights;
    from.add(own, 1, -1);
    to.add(own, 1, 1);
    for (const { weights, nodes, users } of this.#shared[rank] ?? []) {
      users[fromSide]--;
      users[toSide]++;
      if (users[fromSide] === 0) from.add(weights, nodes, -1);
      if (users[toSide] === 1) to.add(weights, nodes, 1);
    }
  }
}

/** Elements of the initializers inside a node's subgraphs. */
function parametersInside(model: Model, node: Node): number {
  return modelParameters({
    ...model,
    graph: { ...model.graph, initializers: [], sparseInitializers: [], nodes: [node] },
  });
}
