import type { Attribute, Graph, Initializer, Model, Node } from './model.js';
import { readModel } from './read.js';

/**
 * Where the files are that a model is made of: the ONNX file, then each file of external data once.
 *
 * @throws TierbedError as `readModel`
 */
export async function modelPaths(path: string): Promise<readonly string[]> {
  const external = new Set<string>();
  for (const { data } of initializersOf(await readModel(path))) if (data.kind === 'external') external.add(data.path);
  return [path, ...external];
}

/** Every tensor that a model holds: of its graph, its subgraphs, its attributes and its functions. */
function* initializersOf(model: Model): Generator<Initializer> {
  yield* inGraph(model.graph);
  for (const { nodes, attributeProtos } of model.functions) {
    yield* inAttributes(attributeProtos);
    yield* inNodes(nodes);
  }
}

function* inGraph(graph: Graph): Generator<Initializer> {
  yield* graph.initializers;
  for (const { values, indices } of graph.sparseInitializers) yield* [values, indices];
  yield* inNodes(graph.nodes);
}

function* inNodes(nodes: readonly Node[]): Generator<Initializer> {
  for (const { attributes } of nodes) yield* inAttributes(attributes);
}

function* inAttributes(attributes: readonly Attribute[]): Generator<Initializer> {
  for (const { value } of attributes) {
    switch (value.type) {
      case 'tensor':
        yield value.t;
        break;
      case 'tensors':
        yield* value.tensors;
        break;
      case 'graph':
        yield* inGraph(value.g);
        break;
      case 'graphs':
        for (const graph of value.graphs) yield* inGraph(graph);
        break;
      case 'sparseTensor':
        yield* [value.sparseTensor.values, value.sparseTensor.indices];
        break;
      case 'sparseTensors':
        for (const { values, indices } of value.sparseTensors) yield* [values, indices];
        break;
    }
  }
}
