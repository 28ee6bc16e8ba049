import { initializerOf } from '../build/attributes.js';
import { type Attribute, DATA_TYPE, type Graph, type Initializer, type Model, type Node } from '../model.js';
import { denseTensor, float32Tensor } from '../tensor.js';
import type { Pass } from './pass.js';
import { isOnnxDomain, mapGraphs } from './walk.js';

/**
 * Makes weights of Constant nodes. One that is itself an output of its graph stays a node (a subgraph must make its
 * outputs), and so does a sparse one.
 */
export const constantNodes: Pass = { name: 'constant-nodes', run: (model: Model) => mapGraphs(model, ofGraph) };

function ofGraph(graph: Graph): Graph {
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const made: Initializer[] = [];
  const nodes = graph.nodes.filter((node) => {
    const weight = outputs.has(node.outputs[0] ?? '') ? undefined : weightOf(node);
    if (weight) made.push(weight);
    return weight === undefined;
  });
  return made.length === 0 ? graph : { ...graph, nodes, initializers: [...graph.initializers, ...made] };
}

/** What a Constant node holds as a weight of its output's name; undefined for other nodes and for what is not dense. */
export function weightOf(node: Node): Initializer | undefined {
  const [name] = node.outputs;
  const [attribute] = node.attributes;
  if (node.opType !== 'Constant' || !isOnnxDomain(node.domain) || !name || !attribute) return undefined;
  return weightFrom(name, attribute);
}

function weightFrom(name: string, { value }: Attribute): Initializer | undefined {
  switch (value.type) {
    case 'tensor':
      return { ...value.t, name };
    case 'float':
      return initializerOf(name, float32Tensor([], Float32Array.of(value.f)));
    case 'floats':
      return initializerOf(name, float32Tensor([value.floats.length], Float32Array.from(value.floats)));
    case 'int':
      return int64(name, [], [value.i]);
    case 'ints':
      return int64(name, [value.ints.length], value.ints);
    case 'string':
      return strings(name, [], [value.s]);
    case 'strings':
      return strings(name, [value.strings.length], value.strings);
    default:
      return undefined;
  }
}

function int64(name: string, shape: readonly number[], values: readonly bigint[]): Initializer {
  return initializerOf(name, denseTensor('int64', shape, new Uint8Array(BigInt64Array.from(values).buffer)));
}

function strings(name: string, dims: readonly number[], values: readonly Uint8Array[]): Initializer {
  return {
    name,
    dims,
    dataType: DATA_TYPE.string,
    data: { kind: 'strings', values },
    docString: '',
    metadataProps: [],
  };
}
