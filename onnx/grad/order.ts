import type { Model } from '../model.js';

/**
 * A graph with the nodes that nothing follows at its end, the first of them last. ONNX Runtime runs a graph depth first
 * from the last of these to the first: as they are made, the gradients by the first weights would be first, and all others
 * would wait to the end of the run, with every activation still in memory. In this order each is computed as soon as its
 * layer has been reached.
 */
export function inOrder(model: Model): Model {
  const { nodes } = model.graph;
  const used = new Set(nodes.flatMap(({ inputs }) => inputs));
  const isLeaf = (outputs: readonly string[]): boolean => !outputs.some((name) => used.has(name));
  const leaves = nodes.filter(({ outputs }) => isLeaf(outputs));
  const others = nodes.filter(({ outputs }) => !isLeaf(outputs));
  return { ...model, graph: { ...model.graph, nodes: [...others, ...leaves.reverse()] } };
}
