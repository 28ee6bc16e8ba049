import { subgraphs } from '../attribute.js';
import { rawBytes } from '../data-types.js';
import { GraphIndex, isRandom } from '../graph.js';
import { inferKnown } from '../infer.js';
import type { Attribute, Graph, Initializer, Model, Node } from '../model.js';
import { type Dim, dtypeOf } from '../model.js';
import { evaluateConstants } from './evaluate.js';
import type { Pass } from './pass.js';
import { isOnnxDomain } from './walk.js';

/** A result of more bytes is not worked out at all: it is a filled tensor, never a weight worth keeping. */
const RESULT_LIMIT_BYTES = 256 << 20;

/** What the weights of a graph may grow by: this share of them, or this many bytes where that is more. */
const GROWTH = { share: 0.05, bytes: 64 << 10 } as const;

/**
 * Works out, with ONNX Runtime, what depends on constants alone. The results become weights of the graph they are in.
 *
 * DequantizeLinear stays: that its input is stored in int8 is what makes a model quantised. Random numbers stay, as do
 * results that would make the file much larger (the weights of a graph grow by 5 per cent at most, or 64 KiB) and nodes
 * that the runtime does not know or that give no tensor.
 */
export const constantFolding: Pass = {
  name: 'constant-folding',
  run: async (model: Model) => {
    const sizes = resultSizes(model);
    const graph = await foldGraph(model, model.graph, new Map(), sizes);
    return graph === model.graph ? model : { ...model, graph };
  },
};

type Weights = ReadonlyMap<string, Initializer>;
type Sizes = (name: string) => number | undefined;

/** Bytes of tensors whose types follow from the model's rules, without running it. */
function resultSizes(model: Model): Sizes {
  const known = inferKnown(model, {});
  return (name) => {
    const { dtype, shape } = known.get(name) ?? {};
    if (dtype === undefined || !shape?.every((dim: Dim) => typeof dim === 'number')) return undefined;
    return rawBytes(
      dtype,
      shape.reduce((total: number, dim) => total * (dim as number), 1),
    );
  };
}

/** @param outer weights of the graphs around */
async function foldGraph(model: Model, graph: Graph, outer: Weights, sizes: Sizes): Promise<Graph> {
  const folded = await foldOwn(model, graph, outer, sizes);
  const visible = new Map(outer);
  // A body's inputs and what its nodes make hide weights of the same name.
  for (const { name } of folded.inputs) visible.delete(name);
  for (const { outputs } of folded.nodes) for (const name of outputs) visible.delete(name);
  const inputs = new Set(folded.inputs.map(({ name }) => name));
  for (const weight of folded.initializers) if (!inputs.has(weight.name)) visible.set(weight.name, weight);
  let changed = false;
  const nodes: Node[] = [];
  for (const node of folded.nodes) {
    const attributes: Attribute[] = [];
    for (const attribute of subgraphs(node).length === 0 ? [] : node.attributes) {
      const { value } = attribute;
      if (value.type === 'graph') {
        const g = await foldGraph(model, value.g, visible, sizes);
        attributes.push(g === value.g ? attribute : { ...attribute, value: { type: 'graph', g } });
      } else if (value.type === 'graphs') {
        const graphs = [];
        for (const inner of value.graphs) graphs.push(await foldGraph(model, inner, visible, sizes));
        attributes.push({ ...attribute, value: { type: 'graphs', graphs } });
      } else attributes.push(attribute);
    }
    const same = attributes.every((attribute, i) => attribute === node.attributes[i]);
    changed ||= !same;
    nodes.push(same ? node : { ...node, attributes });
  }
  return changed ? { ...folded, nodes } : folded;
}

/** Folds a graph's own nodes. */
async function foldOwn(model: Model, graph: Graph, outer: Weights, sizes: Sizes): Promise<Graph> {
  const weights = visibleWeights(graph, outer);
  const index = new GraphIndex(graph);
  const candidates = foldable(graph, index, weights, sizes);
  if (candidates.length === 0) return graph;
  const results = await evaluateConstants(model, graph, candidates, weights);
  const done = candidates.filter((i) => (graph.nodes[i] as Node).outputs.every((name) => !name || results.has(name)));
  const removed = affordable(graph, index, weightsBytes(graph), new Set(done), results);
  if (removed.size === 0) return graph;
  const made = [...frontier(graph, index, removed)].map((name) => results.get(name) as Initializer);
  return {
    ...graph,
    nodes: graph.nodes.filter((_, i) => !removed.has(i)),
    initializers: [...graph.initializers, ...made],
  };
}

/** Whether a node may be worked out where its inputs are known. Functions and other domains may draw random numbers. */
function mayFold(node: Node): boolean {
  if (node.opType === 'DequantizeLinear' || !isOnnxDomain(node.domain) || isRandom(node)) return false;
  return subgraphs(node).every(({ nodes }) =>
    nodes.every((inner) => inner.opType === 'DequantizeLinear' || mayFold(inner)),
  );
}

function visibleWeights(graph: Graph, outer: Weights): Weights {
  const weights = new Map(outer);
  for (const { outputs } of graph.nodes) for (const name of outputs) weights.delete(name);
  for (const weight of graph.initializers) weights.set(weight.name, weight);
  for (const { values } of graph.sparseInitializers) weights.delete(values.name);
  // An input that has a default may be given another value.
  for (const { name } of graph.inputs) weights.delete(name);
  return weights;
}

/** Nodes, in running order, that depend on weights and on one another alone and may be worked out. */
function foldable(graph: Graph, index: GraphIndex, weights: Weights, sizes: Sizes): number[] {
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const constant = new Set(weights.keys());
  const found: number[] = [];
  for (const i of index.order) {
    const node = graph.nodes[i] as Node;
    if (!mayFold(node)) continue;
    // A subgraph must make its outputs, and so may the main graph.
    if (node.outputs.some((name) => outputs.has(name))) continue;
    if (![...(index.uses[i] as ReadonlySet<string>)].every((name) => constant.has(name))) continue;
    if (node.outputs.some((name) => (sizes(name) ?? 0) > RESULT_LIMIT_BYTES)) continue;
    for (const name of node.outputs) if (name !== '') constant.add(name);
    found.push(i);
  }
  return found;
}

/**
 * The nodes that may go so that weights grow no more than they may. While they grow more, the node stays whose result is
 * largest beside the weights that it replaces: a filled tensor, or a copy of a weight that others use as it is.
 */
function affordable(
  graph: Graph,
  index: GraphIndex,
  before: number,
  candidates: ReadonlySet<number>,
  results: Weights,
): ReadonlySet<number> {
  const removed = new Set(candidates);
  const limit = Math.max(before * GROWTH.share, GROWTH.bytes);
  for (;;) {
    const growth = growthByResult(graph, index, removed, results);
    let total = 0;
    let worst: { readonly name: string; readonly bytes: number } | undefined;
    for (const [name, bytes] of growth) {
      total += bytes;
      if (bytes > (worst?.bytes ?? 0)) worst = { name, bytes };
    }
    if (total <= limit || !worst) return removed;
    removed.delete(index.producer.get(worst.name) as number);
  }
}

/** Bytes of each result that something needs, less those of the weights it replaces, its share where several do. */
function growthByResult(
  graph: Graph,
  index: GraphIndex,
  removed: ReadonlySet<number>,
  results: Weights,
): ReadonlyMap<string, number> {
  const freed = freedWeights(graph, index, removed);
  const growth = new Map<string, number>();
  const replacing = new Map<string, string[]>();
  for (const name of frontier(graph, index, removed)) {
    growth.set(name, bytesOf(results.get(name)));
    const sources = new Set([...index.ancestors([name])].flatMap((i) => [...(index.uses[i] ?? [])]));
    for (const source of sources) {
      if (freed.has(source)) replacing.set(source, [...(replacing.get(source) ?? []), name]);
    }
  }
  for (const [source, names] of replacing) {
    const share = bytesOf(freed.get(source)) / names.length;
    for (const name of names) growth.set(name, (growth.get(name) as number) - share);
  }
  return growth;
}

/** Results that something which stays needs. */
function frontier(graph: Graph, index: GraphIndex, removed: ReadonlySet<number>): Set<string> {
  const names = new Set<string>();
  for (const i of removed) {
    for (const name of (graph.nodes[i] as Node).outputs) {
      if (index.consumers.get(name)?.some((consumer) => !removed.has(consumer))) names.add(name);
    }
  }
  return names;
}

/** The graph's own weights that nothing else than removed nodes uses. */
function freedWeights(graph: Graph, index: GraphIndex, removed: ReadonlySet<number>): Weights {
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const free = (name: string): boolean =>
    !outputs.has(name) && (index.consumers.get(name)?.every((i) => removed.has(i)) ?? false);
  return new Map(graph.initializers.flatMap((weight) => (free(weight.name) ? [[weight.name, weight]] : [])));
}

function weightsBytes(graph: Graph): number {
  return graph.initializers.reduce((total, weight) => total + bytesOf(weight), 0);
}

/** Bytes of a weight's elements, from its type: `data` may be made only when it is asked for. */
function bytesOf(weight: Initializer | undefined): number {
  if (!weight) return 0;
  const elements = weight.dims.reduce((a, b) => a * b, 1);
  if (dtypeOf(weight.dataType) !== 'string') return rawBytes(weight.dataType, elements) ?? 0;
  const { data } = weight;
  return data.kind === 'strings' ? data.values.reduce((total, value) => total + value.byteLength, 0) : 0;
}
