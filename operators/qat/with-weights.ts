import type { Model } from '../../onnx/model.js';

/** A model with the weights of another, where that has some of the same name. */
export function withWeights(model: Model, other: Model): Model {
  const found = new Map(other.graph.initializers.map((each) => [each.name, each]));
  const initializers = model.graph.initializers.map((each) => found.get(each.name) ?? each);
  return { ...model, graph: { ...model.graph, initializers } };
}
