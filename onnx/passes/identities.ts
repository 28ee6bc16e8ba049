import { intAttr } from '../attribute.js';
import { GraphIndex } from '../graph.js';
import { initializerTensor } from '../initializer.js';
import type { Graph, Initializer, Model, Node } from '../model.js';
import { annotatedNames, innerNames } from './names.js';
import type { Pass } from './pass.js';
import { renameUses } from './rename.js';
import { isOnnxDomain, mapGraphs, onnxVersion } from './walk.js';

/**
 * Takes out nodes that give what they take: Identity, and Dropout outside of training. Where such a node makes an output
 * of its graph, the node before it makes that output instead; where there is none (the output is an input, a weight, or
 * a tensor from outside a subgraph) or it makes another output already, the node stays.
 */
export const identities: Pass = {
  name: 'identities',
  run: (model: Model) => {
    const opset = onnxVersion(model);
    return mapGraphs(model, (graph) => ofGraph(graph, opset));
  },
};

function ofGraph(graph: Graph, opset: number): Graph {
  const weights = new Map(graph.initializers.map((weight) => [weight.name, weight]));
  const index = new GraphIndex(graph);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const fixed = new Set([...annotatedNames(graph), ...innerNames(graph)]);
  const used = (name: string): boolean => outputs.has(name) || index.consumers.has(name);
  const replaced = new Map<string, string>();
  const removed = new Set<number>();
  for (const i of index.order) {
    const node = graph.nodes[i] as Node;
    if (!givesItsInput(node, opset, weights) || node.outputs.slice(1).some(used)) continue;
    const [given = '', to = ''] = [node.inputs[0], node.outputs[0]];
    // What stands for an input is final: its own node came first.
    const from = replaced.get(given) ?? given;
    if (from === '' || to === '' || fixed.has(from) || fixed.has(to)) continue;
    if (!outputs.has(to)) {
      replaced.set(to, from);
    } else if (index.producer.has(from) && !outputs.has(from)) {
      for (const [name, stand] of replaced) if (stand === from) replaced.set(name, to);
      replaced.set(from, to);
    } else continue;
    removed.add(i);
  }
  if (removed.size === 0) return graph;
  const nodes = graph.nodes.flatMap((node, i) =>
    removed.has(i) ? [] : [renameMade(renameUses(node, replaced), replaced)],
  );
  return { ...graph, nodes, valueInfo: graph.valueInfo.filter(({ name }) => !replaced.has(name)) };
}

function renameMade(node: Node, replaced: ReadonlyMap<string, string>): Node {
  if (!node.outputs.some((name) => replaced.has(name))) return node;
  return { ...node, outputs: node.outputs.map((name) => replaced.get(name) ?? name) };
}

function givesItsInput(node: Node, opset: number, weights: ReadonlyMap<string, Initializer>): boolean {
  if (!isOnnxDomain(node.domain)) return false;
  if (node.opType === 'Identity') return true;
  if (node.opType !== 'Dropout') return false;
  if (opset < 7) return intAttr(node, 'is_test') === 1;
  const training = node.inputs[2];
  return !training || isFalse(weights.get(training));
}

function isFalse(weight: Initializer | undefined): boolean {
  if (!weight) return false;
  const { dtype, data } = initializerTensor(weight);
  return dtype === 'bool' && data.length === 1 && data[0] === 0;
}
