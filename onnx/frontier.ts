import { GraphIndex } from './graph.js';
import type { Graph } from './model.js';
import { nonTensors } from './non-tensors.js';

/** A tensor that may cross a cut. */
interface Crossable {
  readonly name: string;
  /** Rank of the node that makes it; -1 for a graph input. */
  readonly producer: number;
  /** Nodes that need it, and one more when it is an output of the graph: an output made early still has to get to the end. */
  readonly demand: number;
  /** A sequence, optional or map: no cut can carry it. */
  readonly noTensor: boolean;
}

/**
 * The part of a graph that cuts go through: the nodes that are not constant and that some output depends on, in the
 * order in which they can run. A node is known by its rank in that order.
 */
export class CutGraph {
  readonly index: GraphIndex;
  /** Position in `graph.nodes` by rank. */
  readonly nodes: readonly number[];
  /** Rank by position in `graph.nodes`. */
  readonly rankOf: ReadonlyMap<number, number>;
  /** Ranks that a node depends on directly. */
  readonly before: readonly (readonly number[])[];
  /** Ranks that depend on a node directly. */
  readonly behind: readonly (readonly number[])[];
  /** Tensors that can cross a cut, graph inputs first, then by the order in which they are made. */
  readonly tensors: readonly Crossable[];
  readonly tensorOf: ReadonlyMap<string, number>;
  /** Per node, the tensors (positions in `tensors`) that it needs and makes. */
  readonly needs: readonly (readonly number[])[];
  readonly makes: readonly (readonly number[])[];

  constructor(graph: Graph, index: GraphIndex = new GraphIndex(graph)) {
    this.index = index;
    const alive = index.ancestors(graph.outputs.map(({ name }) => name));
    this.nodes = index.order.filter((i) => alive.has(i) && !index.constantNodes[i]);
    this.rankOf = new Map(this.nodes.map((i, rank) => [i, rank]));
    const ranks = (positions: readonly number[]): number[] =>
      positions.flatMap((i) => this.rankOf.get(i) ?? []).sort((a, b) => a - b);
    this.before = this.nodes.map((i) => ranks(index.predecessors(i)));
    this.behind = this.nodes.map((i) => ranks(index.successors(i)));

    const outputs = new Set(graph.outputs.map(({ name }) => name));
    const others = nonTensors(graph, index.order);
    const tensors: Crossable[] = [];
    const tensorOf = new Map<string, number>();
    const add = (name: string, producer: number): number => {
      const users = ranks(index.consumers.get(name) ?? []).length;
      tensorOf.set(name, tensors.length);
      return (
        tensors.push({ name, producer, demand: users + (outputs.has(name) ? 1 : 0), noTensor: others.has(name) }) - 1
      );
    };
    for (const name of index.inputs) add(name, -1);
    this.makes = this.nodes.map((i, rank) =>
      (graph.nodes[i]?.outputs ?? []).flatMap((name) => (name === '' ? [] : [add(name, rank)])),
    );
    this.needs = this.nodes.map((i) => [...(index.uses[i] ?? [])].flatMap((name) => tensorOf.get(name) ?? []));
    this.tensors = tensors;
    this.tensorOf = tensorOf;
  }

  /** Ranks that tensors depend on, their producers included. */
  ancestors(tensors: Iterable<string>): Set<number> {
    const found = new Set<number>();
    for (const i of this.index.ancestors(tensors)) {
      const rank = this.rankOf.get(i);
      if (rank !== undefined) found.add(rank);
    }
    return found;
  }
}

/** Told of each node that goes to the side before the cut, or comes back. */
export interface FrontierObserver {
  added(rank: number): void;
  removed(rank: number): void;
}

/**
 * A moving cut: the set of nodes before it, and the tensors that cross it, kept up to date as nodes join or leave. A
 * tensor crosses when it is made before the cut, or given as input, and needed behind it.
 */
export class Frontier {
  readonly graph: CutGraph;
  readonly #inside: Uint8Array;
  readonly #pending: Int32Array;
  readonly #crossing = new Set<number>();
  readonly #observer: FrontierObserver | undefined;
  #size = 0;

  constructor(graph: CutGraph, observer?: FrontierObserver) {
    this.graph = graph;
    this.#observer = observer;
    this.#inside = new Uint8Array(graph.nodes.length);
    this.#pending = Int32Array.from(graph.tensors, ({ demand }) => demand);
    graph.tensors.forEach(({ producer, demand }, t) => {
      if (producer < 0 && demand > 0) this.#crossing.add(t);
    });
  }

  /** Nodes before the cut. */
  get size(): number {
    return this.#size;
  }

  has(rank: number): boolean {
    return this.#inside[rank] === 1;
  }

  add(rank: number): void {
    this.#inside[rank] = 1;
    this.#size++;
    for (const t of this.graph.needs[rank] ?? []) {
      const pending = (this.#pending[t] as number) - 1;
      this.#pending[t] = pending;
      if (pending === 0) this.#crossing.delete(t);
    }
    for (const t of this.graph.makes[rank] ?? []) if ((this.#pending[t] as number) > 0) this.#crossing.add(t);
    this.#observer?.added(rank);
  }

  remove(rank: number): void {
    this.#inside[rank] = 0;
    this.#size--;
    for (const t of this.graph.makes[rank] ?? []) this.#crossing.delete(t);
    for (const t of this.graph.needs[rank] ?? []) {
      this.#pending[t] = (this.#pending[t] as number) + 1;
      const producer = this.graph.tensors[t]?.producer ?? -1;
      if (producer < 0 || this.#inside[producer] === 1) this.#crossing.add(t);
    }
    this.#observer?.removed(rank);
  }

  /** How many tensors cross. */
  get width(): number {
    return this.#crossing.size;
  }

  /** The values that cross and are no tensors: with one of these there is no cut here. */
  noTensors(): string[] {
    return [...this.#crossing].flatMap((t) => {
      const { name, noTensor } = this.graph.tensors[t] as Crossable;
      return noTensor ? [name] : [];
    });
  }

  /** Names of the tensors that cross: graph inputs first, then in the order in which they are made. */
  crossing(): string[] {
    return [...this.#crossing].sort((a, b) => a - b).map((t) => this.graph.tensors[t]?.name as string);
  }
}
