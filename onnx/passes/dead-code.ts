import { GraphIndex } from '../graph.js';
import type { Graph, Model } from '../model.js';
import { ownNames } from './names.js';
import type { Pass } from './pass.js';
import { mapGraphs } from './walk.js';

/** Drops nodes that no output needs, and weights that nothing uses. Inputs and functions stay. */
export const deadCode: Pass = { name: 'dead-code', run: (model: Model) => mapGraphs(model, ofGraph) };

function ofGraph(graph: Graph): Graph {
  const index = new GraphIndex(graph);
  const outputs = graph.outputs.map(({ name }) => name);
  const needed = index.ancestors(outputs);
  const nodes = graph.nodes.filter((_, i) => needed.has(i));
  const used = new Set(outputs);
  for (const i of needed) for (const name of index.uses[i] ?? []) used.add(name);
  const made = new Set([...nodes.flatMap((node) => node.outputs), ...graph.inputs.map(({ name }) => name)]);
  const quantizationAnnotation = graph.quantizationAnnotation.filter(
    ({ tensorName }) => made.has(tensorName) || used.has(tensorName),
  );
  for (const { tensorName, quantParameterTensorNames } of quantizationAnnotation) {
    used.add(tensorName);
    for (const { value } of quantParameterTensorNames) used.add(value);
  }
  const initializers = graph.initializers.filter(({ name }) => used.has(name));
  const sparseInitializers = graph.sparseInitializers.filter(({ values }) => used.has(values.name));
  const kept = { ...graph, nodes, initializers, sparseInitializers, quantizationAnnotation };
  if (
    nodes.length === graph.nodes.length &&
    initializers.length === graph.initializers.length &&
    sparseInitializers.length === graph.sparseInitializers.length
  ) {
    return graph;
  }
  const gone = new Set(ownNames(graph));
  for (const name of ownNames(kept)) gone.delete(name);
  return { ...kept, valueInfo: graph.valueInfo.filter(({ name }) => !gone.has(name)) };
}
