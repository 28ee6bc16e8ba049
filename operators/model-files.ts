import { stat } from 'node:fs/promises';
import { basename, dirname, relative } from 'node:path';
import { TierbedError } from '../base/errors.js';
import type { Attribute, Graph, Initializer, Model, Node } from '../onnx/model.js';
import { readModel } from '../onnx/read.js';
import { hashFile, type ModelFile, type StageModel } from './variant.js';

/**
 * The files that a model is made of: the ONNX file, then the files of its external data, each hashed.
 *
 * @throws TierbedError as `readModel`; `missing` when a file of external data is not there
 */
export async function describeModel(path: string): Promise<StageModel> {
  const folder = dirname(path);
  const external = new Set<string>();
  for (const { data } of initializersOf(await readModel(path))) if (data.kind === 'external') external.add(data.path);
  const files: ModelFile[] = [{ path, name: basename(path), ...(await hashFile(path)) }];
  for (const file of external) {
    const found = await stat(file).catch(() => undefined);
    if (!found?.isFile()) throw new TierbedError('missing', `${path}: its external data ${file} is not there`);
    files.push({ path: file, name: relative(folder, file), ...(await hashFile(file)) });
  }
  return { files };
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
