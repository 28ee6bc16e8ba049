import { initializerOf } from '../build/attributes.js';
import { GraphIndex } from '../graph.js';
import { initializerTensor } from '../initializer.js';
import { DATA_TYPE, type Graph, type Initializer, type Model, type Node } from '../model.js';
import { float32Tensor, float32Values } from '../tensor.js';
import { type Layer, layerOf, type NewWeights } from './affine/layers.js';
import { batchNorm, channelwise, type ScaleShiftNode, type WeightOf } from './affine/scale-shift.js';
import { annotatedNames, FreshNames } from './names.js';
import type { Pass } from './pass.js';
import { mapGraphs } from './walk.js';

/**
 * Folds into the weights of Conv, ConvTranspose and Gemm what scales and shifts each channel by constants: behind them
 * BatchNormalization, Mul, Add, Sub and Div, and before Conv and Gemm BatchNormalization where that is the same at the
 * edges too (no padding). Only float32, only where nothing else sees the tensor in between, and only with constants of the
 * same graph. A weight that something else uses too is copied, not changed.
 */
export const affineFolding: Pass = {
  name: 'affine-folding',
  run: (model: Model) => {
    const names = new FreshNames(model);
    return mapGraphs(model, (graph) => new Folding(graph, names).run(true));
  },
};

/**
 * The same of what stands behind a layer alone. A normalisation before a layer evens out what the layer takes: folded into
 * the weights, both have channels of very different sizes, which one scale for all of them suits badly.
 */
export const affineFoldingBehind: Pass = {
  name: 'affine-folding',
  run: (model: Model) => {
    const names = new FreshNames(model);
    return mapGraphs(model, (graph) => new Folding(graph, names).run(false));
  },
};

const FOLDED: ReadonlySet<string> = new Set(['BatchNormalization', 'Mul', 'Add', 'Sub', 'Div']);

class Folding {
  readonly #graph: Graph;
  readonly #names: FreshNames;
  readonly #order: readonly number[];
  readonly #nodes: (Node | undefined)[];
  readonly #producer: Map<string, number>;
  readonly #consumers: Map<string, Set<number>>;
  readonly #weights: Map<string, Initializer>;
  /** Tensors that must stay as they are: outputs, annotated ones, and weights that a caller may replace. */
  readonly #fixed: ReadonlySet<string>;
  readonly #gone = new Set<string>();

  constructor(graph: Graph, names: FreshNames) {
    const index = new GraphIndex(graph);
    this.#graph = graph;
    this.#names = names;
    this.#order = index.order;
    this.#nodes = [...graph.nodes];
    this.#producer = new Map(index.producer);
    this.#consumers = new Map([...index.consumers].map(([name, list]) => [name, new Set(list)]));
    const inputs = new Set(graph.inputs.map(({ name }) => name));
    this.#weights = new Map(graph.initializers.flatMap((w) => (inputs.has(w.name) ? [] : [[w.name, w]])));
    this.#fixed = new Set([...graph.outputs.map(({ name }) => name), ...annotatedNames(graph)]);
  }

  /** @param before whether what stands before a layer is folded too */
  run(before: boolean): Graph {
    for (const i of this.#order) this.#intoLayerBefore(i);
    if (before) for (const i of this.#order) while (this.#intoLayerBehind(i));
    if (this.#gone.size === 0) return this.#graph;
    const overridable = this.#graph.initializers.filter(({ name }) => !this.#weights.has(name));
    return {
      ...this.#graph,
      nodes: this.#nodes.filter((node) => node !== undefined),
      initializers: [...overridable, ...this.#weights.values()],
      valueInfo: this.#graph.valueInfo.filter(({ name }) => !this.#gone.has(name)),
    };
  }

  /** Folds node i, when it scales and shifts, into the layer that makes its data. */
  #intoLayerBefore(i: number): void {
    const node = this.#nodes[i];
    // By name first: weights may be large, and are read only for a node that can be folded.
    if (!node || !FOLDED.has(node.opType) || !this.#hasOneOutput(node)) return;
    for (const data of node.inputs.slice(0, 2)) {
      const at = this.#producer.get(data);
      const before = at === undefined ? undefined : this.#nodes[at];
      if (at === undefined || !before || !this.#isPrivate(data, i)) continue;
      const layer = layerOf(before, this.#weightOf);
      const change = layer && this.#changeAfter(node, layer);
      if (!layer || change?.data !== data || change.scale.length !== layer.outChannels) continue;
      const [output = ''] = node.outputs;
      this.#remove(i, data);
      this.#replace(at, { ...before, outputs: [output] }, layer.after(change));
      this.#producer.set(output, at);
      return;
    }
  }

  /** Folds the BatchNormalization before node i, when that is a layer, into it; whether it did. */
  #intoLayerBehind(i: number): boolean {
    const node = this.#nodes[i];
    const [data = ''] = node?.inputs ?? [];
    const at = this.#producer.get(data);
    const norm = at === undefined ? undefined : this.#nodes[at];
    if (!node || at === undefined || !norm || !this.#isPrivate(data, i) || !this.#hasOneOutput(norm)) return false;
    const change = batchNorm(norm, this.#weightOf);
    const layer = change && layerOf(node, this.#weightOf);
    if (!change || !layer || change.scale.length !== layer.inChannels) return false;
    const weights = layer.before(change);
    if (!weights) return false;
    this.#remove(at, data);
    this.#consumers.get(change.data)?.add(i);
    this.#replace(i, { ...node, inputs: node.inputs.map((name, k) => (k === 0 ? change.data : name)) }, weights);
    return true;
  }

  #changeAfter(node: Node, { rank, outChannels }: Layer): ScaleShiftNode | undefined {
    return batchNorm(node, this.#weightOf) ?? channelwise(node, this.#weightOf, rank, outChannels);
  }

  readonly #weightOf: WeightOf = (name) => {
    const weight = name ? this.#weights.get(name) : undefined;
    if (weight?.dataType !== DATA_TYPE.float32) return undefined;
    return { dims: weight.dims, values: float32Values(initializerTensor(weight)) };
  };

  /** Whether node i, by one of its inputs, is all that uses a tensor. */
  #isPrivate(tensor: string, i: number): boolean {
    const consumers = this.#consumers.get(tensor);
    if (this.#fixed.has(tensor) || consumers?.size !== 1 || !consumers.has(i)) return false;
    return this.#nodes[i]?.inputs.filter((name) => name === tensor).length === 1;
  }

  /** Whether a node gives one tensor that anything uses. */
  #hasOneOutput(node: Node): boolean {
    const [output, ...others] = node.outputs;
    if (!output) return false;
    return others.every((name) => name === '' || !(this.#fixed.has(name) || this.#consumers.get(name)?.size));
  }

  #remove(i: number, tensor: string): void {
    for (const name of this.#nodes[i]?.inputs ?? []) this.#consumers.get(name)?.delete(i);
    this.#nodes[i] = undefined;
    this.#gone.add(tensor);
  }

  #replace(i: number, node: Node, weights: NewWeights): void {
    const [data = '', weightName = '', biasName = ''] = node.inputs;
    const { dims } = this.#weights.get(weightName) as Initializer;
    const inputs = [
      data,
      this.#place(i, node, weightName, dims, weights.weight),
      this.#place(i, node, biasName, [weights.bias.length], weights.bias, `${weightName}_bias`),
    ];
    this.#nodes[i] = { ...node, inputs, ...(weights.attributes && { attributes: weights.attributes }) };
  }

  /** Puts a weight of node i in the place of an old one; under a new name when something else uses that one. */
  #place(i: number, node: Node, old: string, dims: readonly number[], values: Float32Array, stem?: string): string {
    const known = this.#weights.get(old);
    const own = known && this.#isPrivate(old, i) && node.inputs.filter((name) => name === old).length === 1;
    const name = own ? old : this.#names.free(old === '' && stem ? stem : `${old}_folded`);
    if (!own) this.#consumers.get(old)?.delete(i);
    this.#consumers.set(name, new Set([i]));
    const made = initializerOf(name, float32Tensor(dims, values));
    this.#weights.set(name, known && own ? { ...known, dims, data: made.data } : made);
    return name;
  }
}
