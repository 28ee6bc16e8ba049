import { CutGraph, Frontier, type FrontierObserver } from './frontier.js';
import type { Model } from './model.js';

export { type CutOptions, cutModel } from './extract.js';
export { validateCut } from './validate-cut.js';

/** A place where a model can be cut in two. */
export interface Cut {
  /** The tensors that cross, graph inputs first, then in the order in which they are made. */
  readonly tensors: readonly string[];
}

/** Up to so many places between two nodes that every path passes, all are listed. */
const ALL_PLACES_LIMIT = 4096;
/** Up to so many nodes between two such nodes, each tensor's first and last place is listed where not all are. */
const EACH_TENSOR_LIMIT = 2048;
/** A cut that crosses more tensors is not listed; `validateCut` takes it all the same. */
const WIDTH_LIMIT = 256;

/**
 * Every place where a model can be cut in two.
 *
 * A cut splits the nodes into those before and those behind, such that nothing before needs anything behind; nodes that
 * depend on constants alone, and constants, belong to neither side: each gets a copy of what it needs. The cut is given
 * by the tensors that cross it: made before it or given as model input, and needed behind it. A model output that is made
 * before the cut crosses too, since the last stage answers. Sides without a node that computes are no sides, nodes that
 * no output depends on do not count, and where a sequence, an optional or a map would cross there is no cut.
 *
 * Nodes through which every path goes divide the graph into sections. In a section without branches the places are the
 * positions between its nodes; in one with branches (a residual block, parallel heads) they are all combinations of
 * positions in the branches. Where a section has more than 4096 of these, listed are: for each tensor of it the first
 * place at which the tensor is there and the last at which nothing has used it yet (up to 2048 nodes), and one place
 * after each node in running order. So every cut that a single tensor makes is always listed.
 *
 * @returns cuts from the front of the model to its end; none when it has fewer than two nodes that compute
 */
export function findCuts(model: Model): Cut[] {
  const cuts: Cut[] = [];
  visitCuts(new CutGraph(model.graph), (frontier) => cuts.push({ tensors: frontier.crossing() }));
  return cuts;
}

/** Takes a frontier to each of the places that `findCuts` lists, and calls `visit` there. */
export function visitCuts(
  graph: CutGraph,
  visit: (frontier: Frontier) => void,
  observer?: FrontierObserver | undefined,
): void {
  const frontier = new Frontier(graph, observer);
  const total = graph.nodes.length;
  const here = (): void => {
    if (frontier.size === 0 || frontier.size === total || frontier.width > WIDTH_LIMIT) return;
    if (frontier.noTensors().length === 0) visit(frontier);
  };
  const narrow = bottlenecks(graph);
  for (let rank = 0; rank < total; rank++) {
    if (narrow[rank]) {
      frontier.add(rank);
      here();
      continue;
    }
    let end = rank;
    while (end < total && !narrow[end]) end++;
    const places = placesIn(graph, rank, end);
    for (const place of places ?? []) {
      moveTo(frontier, place, rank);
      here();
    }
    for (; !places && rank < end; rank++) {
      frontier.add(rank);
      here();
    }
    rank = end - 1;
  }
}

/** The nodes through which every path goes: each other node depends on them or is one that they depend on. */
function bottlenecks(graph: CutGraph): boolean[] {
  const behind = countedWhenAlone(graph.before, graph.behind);
  const before = countedWhenAlone(graph.behind, graph.before);
  return behind.map((count, rank) => count + (before[rank] as number) === behind.length - 1);
}

/**
 * Kahn's algorithm, and for each node that is the only one ready how many nodes are left: all of these depend on it. NaN
 * for nodes that are ready together with others.
 */
function countedWhenAlone(
  before: readonly (readonly number[])[],
  behind: readonly (readonly number[])[],
): readonly number[] {
  const waitingFor = before.map((list) => list.length);
  const left = before.map(() => Number.NaN);
  const queue = waitingFor.flatMap((n, rank) => (n === 0 ? [rank] : []));
  // Whether the node at the head became ready while no other was.
  let alone = queue.length === 1;
  for (let head = 0; head < queue.length; head++) {
    const rank = queue[head] as number;
    const last = head === queue.length - 1;
    if (alone && last) left[rank] = before.length - head - 1;
    for (const next of behind[rank] ?? []) {
      waitingFor[next] = (waitingFor[next] as number) - 1;
      if (waitingFor[next] === 0) queue.push(next);
    }
    alone = last && queue.length === head + 2;
  }
  return left;
}

/** One place in a section: per node of it, whether it is before the cut. */
type Place = Uint8Array;

/** Moves a frontier inside a section; what is before the section is before the cut. */
function moveTo(frontier: Frontier, place: Place, start: number): void {
  place.forEach((inside, i) => {
    if (inside === 1 && !frontier.has(start + i)) frontier.add(start + i);
  });
  for (let i = place.length - 1; i >= 0; i--) {
    if (place[i] === 0 && frontier.has(start + i)) frontier.remove(start + i);
  }
}

/**
 * The places in the section of the ranks start..end-1, from the emptiest to the fullest, without the one before it;
 * undefined when the section is so large that only the positions in running order are wanted.
 */
function placesIn(graph: CutGraph, start: number, end: number): Place[] | undefined {
  const count = end - start;
  if (count > ALL_PLACES_LIMIT) return undefined;
  const before = graph.before.slice(start, end).map((list) => list.flatMap((r) => (r >= start ? [r - start] : [])));
  const places = allPlaces(before) ?? (count <= EACH_TENSOR_LIMIT ? somePlaces(before) : undefined);
  if (!places) return undefined;
  const sizes = new Map(places.map((place) => [place, place.reduce((sum, inside) => sum + inside, 0)]));
  return places.sort((a, b) => (sizes.get(a) as number) - (sizes.get(b) as number));
}

/**
 * All down-sets of a partial order but the empty one, or undefined when there are too many. Each is reached once: by
 * adding nodes in ascending order.
 */
function allPlaces(before: readonly (readonly number[])[]): Place[] | undefined {
  const count = before.length;
  const places: Place[] = [];
  const place = new Uint8Array(count);
  const chosen: number[] = [];
  let next = 0;
  for (;;) {
    while (next < count && !before[next]?.every((i) => place[i] === 1)) next++;
    if (next < count) {
      place[next] = 1;
      chosen.push(next);
      if (places.length === ALL_PLACES_LIMIT) return undefined;
      places.push(place.slice());
      next++;
      continue;
    }
    const last = chosen.pop();
    if (last === undefined) return places;
    place[last] = 0;
    next = last + 1;
  }
}

/** One place after each node, and the first and last place of each node's outputs. */
function somePlaces(before: readonly (readonly number[])[]): Place[] {
  const count = before.length;
  const places = new Map<string, Place>();
  const keep = (place: Place): void => {
    if (place.includes(1)) places.set(Buffer.from(place).toString('latin1'), place.slice());
  };
  const prefix = new Uint8Array(count);
  for (let node = 0; node < count; node++) {
    prefix[node] = 1;
    keep(prefix);
    const first = new Uint8Array(count);
    first[node] = 1;
    for (let i = node; i >= 0; i--) if (first[i] === 1) for (const b of before[i] ?? []) first[b] = 1;
    keep(first);
    const unused = new Uint8Array(count).fill(1);
    for (let i = node + 1; i < count; i++) if (before[i]?.some((b) => b === node || unused[b] === 0)) unused[i] = 0;
    keep(unused);
    unused[node] = 0;
    keep(unused);
  }
  return [...places.values()];
}
