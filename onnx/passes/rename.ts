import { freeNames } from '../graph.js';
import type { Graph, Node } from '../model.js';
import { withSubgraphs } from './walk.js';

/** New names by old ones. */
export type Renaming = ReadonlyMap<string, string>;

/**
 * A node with the tensors it uses renamed, those that its subgraphs capture too. What a subgraph defines itself is not
 * touched; the new names must not be among those (`innerNames`).
 */
export function renameUses(node: Node, renaming: Renaming): Node {
  const renamed = withSubgraphs(node, (graph) => renameFree(graph, renaming));
  if (!node.inputs.some((name) => renaming.has(name))) return renamed;
  return { ...renamed, inputs: node.inputs.map((name) => renaming.get(name) ?? name) };
}

function renameFree(graph: Graph, renaming: Renaming): Graph {
  const inside = new Map([...freeNames(graph)].flatMap((name) => pairOf(name, renaming.get(name))));
  if (inside.size === 0) return graph;
  return {
    ...graph,
    nodes: graph.nodes.map((node) => renameUses(node, inside)),
    outputs: graph.outputs.map((info) => ({ ...info, name: inside.get(info.name) ?? info.name })),
  };
}

function pairOf(from: string, to: string | undefined): (readonly [string, string])[] {
  return to === undefined ? [] : [[from, to]];
}
