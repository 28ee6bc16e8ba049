import { GraphIndex } from '../../../onnx/graph.js';
import type { Model } from '../../../onnx/model.js';

/**
 * What of a model some tensors depend on, with all its inputs and without outputs: what is behind the last of them is not
 * run.
 */
export function observedPart(model: Model, tensors: readonly string[]): Model {
  const { graph } = model;
  const index = new GraphIndex(graph);
  const needed = index.ancestors(tensors);
  const used = new Set(tensors);
  for (const i of needed) for (const name of index.uses[i] ?? []) used.add(name);
  return {
    ...model,
    graph: {
      ...graph,
      nodes: index.order.filter((i) => needed.has(i)).flatMap((i) => graph.nodes[i] ?? []),
      initializers: graph.initializers.filter(({ name }) => used.has(name)),
      sparseInitializers: graph.sparseInitializers.filter(({ values }) => used.has(values.name)),
      inputs: graph.inputs.filter(({ name }) => used.has(name) || !index.isConstant(name)),
      outputs: [],
      valueInfo: [],
      quantizationAnnotation: [],
    },
  };
}
