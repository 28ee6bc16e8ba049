import { initializerOf } from '../../onnx/build.js';
import type { Model } from '../../onnx/model.js';
import { float32Tensor } from '../../onnx/tensor.js';
import type { Lessons } from './objective.js';

/** A student with the weights of its projections, which only the loss uses; and the names of these. */
export function withProjections(
  model: Model,
  { hidden }: Lessons,
): { readonly model: Model; readonly projections: readonly string[] } {
  const added = hidden.pairs.flatMap(({ projection }) =>
    projection ? [initializerOf(projection.name, float32Tensor(projection.dims, projection.values))] : [],
  );
  const { graph } = model;
  return {
    model: { ...model, graph: { ...graph, initializers: [...graph.initializers, ...added] } },
    projections: added.map(({ name }) => name),
  };
}

/** The student without them. */
export function withoutProjections(model: Model, projections: readonly string[]): Model {
  const { graph } = model;
  const left = graph.initializers.filter(({ name }) => !projections.includes(name));
  return { ...model, graph: { ...graph, initializers: left } };
}
