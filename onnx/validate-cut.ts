import { TierbedError } from '../base/errors.js';
import { subgraphs } from './attribute.js';
import { CutGraph, Frontier } from './frontier.js';
import { freeNames } from './graph.js';
import type { Graph, Model } from './model.js';

/** A tensor set that separates a graph, and the nodes it puts before it. */
export interface ValidCut {
  /** Graph inputs first, then in the order in which they are made. */
  readonly tensors: readonly string[];
  /** Ranks in the CutGraph. */
  readonly before: ReadonlySet<number>;
}

/**
 * Checks that a set of tensors cuts a model in two, in the sense of `findCuts`: the nodes that the tensors depend on, and
 * all the others, have nothing else between them.
 *
 * @returns the tensors in the order in which they cross
 * @throws TierbedError `invalid` that names the tensors which are missing (the fewest that complete the cut without
 *   moving it), those too many, or the name that is no tensor of the graph
 */
export function validateCut(model: Model, tensors: readonly string[]): readonly string[] {
  return validateCutIn(new CutGraph(model.graph), tensors).tensors;
}

/** As `validateCut`, for several cuts of one graph. */
export function validateCutIn(graph: CutGraph, tensors: readonly string[]): ValidCut {
  const wanted = new Set(tensors);
  if (wanted.size === 0)
    throw new TierbedError('invalid', 'a cut names no tensor', { fix: 'name the tensors to cut at' });
  for (const name of wanted) checkName(graph, name);
  const shown = list([...wanted]);
  const before = graph.ancestors(wanted);
  if (before.size === 0) {
    throw new TierbedError('invalid', `a cut at ${shown} separates nothing: no node comes before it`, {
      fix: 'cut at a tensor that a node makes',
    });
  }
  const frontier = new Frontier(graph);
  for (const rank of before) frontier.add(rank);
  if (before.size === graph.nodes.length) {
    throw new TierbedError('invalid', `a cut at ${shown} separates nothing: no node comes behind it`, {
      fix: 'cut at a tensor that a node still needs',
    });
  }
  const crossing = frontier.crossing();
  const missing = crossing.filter((name) => !wanted.has(name));
  if (missing.length > 0) {
    throw new TierbedError(
      'invalid',
      `a cut at ${shown} does not separate the graph: ${list(missing)} must cross too`,
      {
        fix: `cut at ${crossing.join(',')}`,
      },
    );
  }
  if (crossing.length < wanted.size) {
    const spare = [...wanted].filter((name) => !crossing.includes(name));
    throw new TierbedError('invalid', `nothing behind a cut at ${shown} needs ${list(spare)}`, {
      fix: `cut at ${crossing.join(',')}`,
    });
  }
  const noTensors = frontier.noTensors();
  if (noTensors.length > 0) {
    throw new TierbedError('invalid', `only tensors can cross a cut, and ${list(noTensors)} is none`, {
      fix: 'cut before or behind the nodes that use it',
    });
  }
  return { tensors: crossing, before };
}

function checkName(graph: CutGraph, name: string): void {
  const { index } = graph;
  if (graph.tensorOf.has(name)) return;
  if (index.isConstant(name)) {
    throw new TierbedError('invalid', `tensor ${name} is constant: each side of a cut has a copy of it`, {
      fix: 'leave it out',
    });
  }
  if (index.producer.has(name)) {
    throw new TierbedError('invalid', `no output of the model depends on tensor ${name}`, { fix: 'leave it out' });
  }
  const node = index.graph.nodes.find((candidate) => candidate.name === name);
  if (node) {
    throw new TierbedError('invalid', `${name} is a node, and a cut names tensors`, {
      fix: `its outputs are ${list(node.outputs.filter((output) => output !== ''))}`,
    });
  }
  const holder = index.graph.nodes.find((candidate) => subgraphs(candidate).some((inner) => makesInside(inner, name)));
  if (holder) {
    throw new TierbedError('invalid', `tensor ${name} is inside the ${holder.opType} node ${holder.name}`, {
      fix: 'cut before or behind that node: a subgraph stays whole',
    });
  }
  const like = similar(name, [...graph.tensorOf.keys()]);
  throw new TierbedError('invalid', `the model has no tensor ${name}`, {
    fix: like.length > 0 ? `did you mean ${list(like)}?` : 'list the tensors of every cut with tierbed inspect',
  });
}

function makesInside(graph: Graph, name: string): boolean {
  if (freeNames(graph).has(name)) return false;
  return graph.nodes.some(
    (node) => node.outputs.includes(name) || subgraphs(node).some((inner) => makesInside(inner, name)),
  );
}

/** Up to three names that share the longest beginning or hold the text. */
function similar(name: string, names: readonly string[]): string[] {
  const wanted = name.toLowerCase();
  const score = (candidate: string): number => {
    const text = candidate.toLowerCase();
    if (text.includes(wanted) || wanted.includes(text)) return Math.min(text.length, wanted.length);
    let shared = 0;
    while (shared < text.length && text[shared] === wanted[shared]) shared++;
    return shared;
  };
  return names
    .map((candidate) => ({ candidate, points: score(candidate) }))
    .filter(({ points }) => points >= 3)
    .sort((a, b) => b.points - a.points)
    .slice(0, 3)
    .map(({ candidate }) => candidate);
}

const SHOWN = 8;

function list(names: readonly string[]): string {
  return names.length <= SHOWN
    ? names.join(', ')
    : `${names.slice(0, SHOWN).join(', ')} and ${names.length - SHOWN} others`;
}
