import { subgraphs } from '../attribute.js';
import type { Attribute, Graph, Model, Node } from '../model.js';

/** A node with each graph that it holds changed; the node itself when none was. */
export function withSubgraphs(node: Node, change: (graph: Graph) => Graph): Node {
  if (subgraphs(node).length === 0) return node;
  const attributes = node.attributes.map((attribute) => withGraphs(attribute, change));
  return attributes.every((attribute, i) => attribute === node.attributes[i]) ? node : { ...node, attributes };
}

function withGraphs(attribute: Attribute, change: (graph: Graph) => Graph): Attribute {
  const { value } = attribute;
  if (value.type === 'graph') {
    const g = change(value.g);
    return g === value.g ? attribute : { ...attribute, value: { type: 'graph', g } };
  }
  if (value.type !== 'graphs') return attribute;
  const graphs = value.graphs.map(change);
  return graphs.every((graph, i) => graph === value.graphs[i])
    ? attribute
    : { ...attribute, value: { type: 'graphs', graphs } };
}

/**
 * A model with its graph and the graphs inside it changed, innermost first. Functions stay as they are: what a node of
 * theirs means depends on the call.
 *
 * @param change `main` is false for the graphs inside
 */
export function mapGraphs(model: Model, change: (graph: Graph, main: boolean) => Graph): Model {
  const visit = (graph: Graph, main: boolean): Graph => {
    const nodes = graph.nodes.map((node) => withSubgraphs(node, (inner) => visit(inner, false)));
    return change(nodes.every((node, i) => node === graph.nodes[i]) ? graph : { ...graph, nodes }, main);
  };
  const graph = visit(model.graph, true);
  return graph === model.graph ? model : { ...model, graph };
}

/** Nodes of a graph and of the graphs inside it. */
export function countNodes(graph: Graph): number {
  let count = graph.nodes.length;
  for (const node of graph.nodes) for (const inner of subgraphs(node)) count += countNodes(inner);
  return count;
}

/** Weights of a graph and of the graphs inside it. */
export function countWeights(graph: Graph): number {
  let count = graph.initializers.length + graph.sparseInitializers.length;
  for (const node of graph.nodes) for (const inner of subgraphs(node)) count += countWeights(inner);
  return count;
}

/** The version of the operators ai.onnx that a model is written for; 1 when it imports none. */
export function onnxVersion({ opsetImport }: Pick<Model, 'opsetImport'>): number {
  return opsetImport.find(({ domain }) => isOnnxDomain(domain))?.version ?? 1;
}

/** Both names of the default domain. */
export function isOnnxDomain(domain: string): boolean {
  return domain === '' || domain === 'ai.onnx';
}
