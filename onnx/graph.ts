import { subgraphs } from './attribute.js';
import type { Graph, Node } from './model.js';

const freeNamesOf = new WeakMap<Graph, ReadonlySet<string>>();

/** Tensors that a subgraph takes from the graphs around it: used inside, in nested subgraphs too, but not made inside. */
export function freeNames(graph: Graph): ReadonlySet<string> {
  const known = freeNamesOf.get(graph);
  if (known) return known;
  const own = new Set<string>();
  for (const { name } of graph.inputs) own.add(name);
  for (const { name } of graph.initializers) own.add(name);
  for (const { values } of graph.sparseInitializers) own.add(values.name);
  for (const { outputs } of graph.nodes) for (const name of outputs) own.add(name);
  const free = new Set<string>();
  const use = (name: string): void => {
    if (name !== '' && !own.has(name)) free.add(name);
  };
  for (const node of graph.nodes) usesOf(node).forEach(use);
  for (const { name } of graph.outputs) use(name);
  freeNamesOf.set(graph, free);
  return free;
}

/** Tensors that a node's subgraphs (the branches of If, the body of Loop or Scan) take from the node's own graph. */
export function captures(node: Node): ReadonlySet<string> {
  const names = new Set<string>();
  for (const graph of subgraphs(node)) for (const name of freeNames(graph)) names.add(name);
  return names;
}

/** Every tensor that must exist before a node can run: its inputs, and what its subgraphs capture. */
export function usesOf(node: Node): ReadonlySet<string> {
  const names = new Set(node.inputs);
  names.delete('');
  if (node.attributes.some(({ value }) => value.type === 'graph' || value.type === 'graphs')) {
    for (const name of captures(node)) names.add(name);
  }
  return names;
}

/**
 * Operators whose outputs differ from run to run though their inputs do not: never constant, and never copied into two
 * places. (Dropout only drops in training, when its third input says so.)
 */
const RANDOM_OPS = new Set([
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Bernoulli',
  'Multinomial',
]);

/** A node, or a node inside its subgraphs, draws random numbers. */
export function isRandom(node: Node): boolean {
  if (node.domain === '' && (RANDOM_OPS.has(node.opType) || (node.opType === 'Dropout' && node.inputs[2]))) return true;
  return subgraphs(node).some((graph) => graph.nodes.some(isRandom));
}

/**
 * What is where in a graph: who makes each tensor, who uses it, in what order nodes can run, and what is constant.
 * Nodes are known by their position in `graph.nodes`. Built in one pass; the graph must have no cycle.
 */
export class GraphIndex {
  readonly graph: Graph;
  /** Position of the node that makes a tensor. Initializers and graph inputs have none. */
  readonly producer: ReadonlyMap<string, number>;
  /** Positions of the nodes that use a tensor, ascending, each once; captures by a node's subgraphs count as its uses. */
  readonly consumers: ReadonlyMap<string, readonly number[]>;
  /** Per node, every tensor it needs, captures included. */
  readonly uses: readonly ReadonlySet<string>[];
  /** Node positions in an order in which they can run: the graph's own order where that is one. Without nodes on a cycle. */
  readonly order: readonly number[];
  /** Names of the graph's inputs that a caller gives; an input that has an initializer is a default, and constant. */
  readonly inputs: readonly string[];
  /** Per node, whether it depends on constants alone. */
  readonly constantNodes: readonly boolean[];
  readonly #constants: ReadonlySet<string>;

  constructor(graph: Graph) {
    this.graph = graph;
    const producer = new Map<string, number>();
    const consumers = new Map<string, number[]>();
    graph.nodes.forEach((node, i) => {
      for (const name of node.outputs) if (name !== '') producer.set(name, i);
    });
    this.uses = graph.nodes.map(usesOf);
    this.uses.forEach((names, i) => {
      for (const name of names) {
        const list = consumers.get(name);
        if (list) list.push(i);
        else consumers.set(name, [i]);
      }
    });
    this.producer = producer;
    this.consumers = consumers;
    this.order = runOrder(this.uses, producer, graph.nodes);

    const constants = new Set(graph.initializers.map(({ name }) => name));
    for (const { values } of graph.sparseInitializers) constants.add(values.name);
    this.inputs = graph.inputs.map(({ name }) => name).filter((name) => !constants.has(name));
    const constantNodes = graph.nodes.map(() => false);
    for (const i of this.order) {
      const node = graph.nodes[i] as Node;
      if (isRandom(node) || ![...(this.uses[i] as ReadonlySet<string>)].every((name) => constants.has(name))) continue;
      constantNodes[i] = true;
      for (const name of node.outputs) if (name !== '') constants.add(name);
    }
    this.constantNodes = constantNodes;
    this.#constants = constants;
  }

  /** Whether a tensor is the same in every run: an initializer, or made of such by nodes. */
  isConstant(tensor: string): boolean {
    return this.#constants.has(tensor);
  }

  /** Whether the graph has a tensor of that name. */
  has(tensor: string): boolean {
    return this.producer.has(tensor) || this.#constants.has(tensor) || this.inputs.includes(tensor);
  }

  /** Positions of the nodes whose outputs a node needs, ascending, each once. */
  predecessors(node: number): readonly number[] {
    const found = new Set<number>();
    for (const name of this.uses[node] ?? []) {
      const by = this.producer.get(name);
      if (by !== undefined) found.add(by);
    }
    return [...found].sort((a, b) => a - b);
  }

  /** Positions of the nodes that need a node's outputs, ascending, each once. */
  successors(node: number): readonly number[] {
    const found = new Set<number>();
    for (const name of this.graph.nodes[node]?.outputs ?? [])
      for (const by of this.consumers.get(name) ?? []) found.add(by);
    return [...found].sort((a, b) => a - b);
  }

  /** Positions of every node that tensors depend on, their own producers included. */
  ancestors(tensors: Iterable<string>): Set<number> {
    const found = new Set<number>();
    const open: number[] = [];
    const visit = (name: string): void => {
      const by = this.producer.get(name);
      if (by === undefined || found.has(by)) return;
      found.add(by);
      open.push(by);
    };
    for (const name of tensors) visit(name);
    for (let i = open.pop(); i !== undefined; i = open.pop()) this.uses[i]?.forEach(visit);
    return found;
  }
}

/** The graph's own order where nodes stand after what they need; else Kahn's algorithm. The same graph gives the same. */
function runOrder(
  uses: readonly ReadonlySet<string>[],
  producer: ReadonlyMap<string, number>,
  nodes: readonly Node[],
): number[] {
  const waitingFor = new Array<number>(nodes.length).fill(0);
  const next: number[][] = nodes.map(() => []);
  let sorted = true;
  uses.forEach((names, i) => {
    const before = new Set<number>();
    for (const name of names) {
      const by = producer.get(name);
      if (by !== undefined) before.add(by);
    }
    for (const by of before) {
      next[by]?.push(i);
      if (by >= i) sorted = false;
    }
    waitingFor[i] = before.size;
  });
  if (sorted) return nodes.map((_, i) => i);
  const ready = waitingFor.flatMap((n, i) => (n === 0 ? [i] : []));
  const order: number[] = [];
  ready.reverse();
  for (let i = ready.pop(); i !== undefined; i = ready.pop()) {
    order.push(i);
    for (const follower of (next[i] ?? []).toReversed()) {
      waitingFor[follower] = (waitingFor[follower] as number) - 1;
      if (waitingFor[follower] === 0) ready.push(follower);
    }
  }
  return order;
}
