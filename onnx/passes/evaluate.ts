import { TierbedError } from '../../base/errors.js';
import { captures } from '../graph.js';
import { DATA_TYPE, type Graph, type Initializer, type Model, type Node, type ValueInfo } from '../model.js';
import { openModel } from '../runtime/session.js';
import type { Tensor } from '../tensor.js';

/**
 * The results of nodes that depend on weights and on one another alone, by ONNX Runtime with its optimisations off.
 *
 * @param nodes positions in the graph, in running order
 * @param weights every weight that is visible to the nodes
 * @returns by tensor name; without those of nodes that the runtime refuses, that fail, or that give no tensor, and
 *   without what depends on these
 */
export async function evaluateConstants(
  model: Model,
  graph: Graph,
  nodes: readonly number[],
  weights: ReadonlyMap<string, Initializer>,
): Promise<ReadonlyMap<string, Initializer>> {
  const list = nodes.map((i) => graph.nodes[i] as Node);
  const together = await results(model, list, weights);
  if (together) return together;
  // One of them cannot be run: each by itself, then.
  const known = new Map(weights);
  const found = new Map<string, Initializer>();
  for (const node of list) {
    if (!needs(node).every((name) => known.has(name))) continue;
    for (const [name, weight] of (await results(model, [node], known)) ?? []) {
      known.set(name, weight);
      found.set(name, weight);
    }
  }
  return found;
}

function needs(node: Node): string[] {
  return [...node.inputs.filter((name) => name !== ''), ...captures(node)];
}

async function results(
  model: Model,
  nodes: readonly Node[],
  weights: ReadonlyMap<string, Initializer>,
): Promise<ReadonlyMap<string, Initializer> | undefined> {
  const names = [...new Set(nodes.flatMap(({ outputs }) => outputs.filter((name) => name !== '')))];
  try {
    const session = await openModel(constantModel(model, nodes, weights, names), {
      threads: 1,
      graphOptimization: false,
    });
    try {
      const tensors = await session.run([], names);
      return new Map(tensors.map(({ name, tensor }) => [name, asWeight(name, tensor)]));
    } finally {
      await session.close();
    }
  } catch (error) {
    if (error instanceof TierbedError && error.kind === 'invalid') return undefined;
    throw error;
  }
}

function constantModel(
  model: Model,
  nodes: readonly Node[],
  weights: ReadonlyMap<string, Initializer>,
  outputs: readonly string[],
): Model {
  const needed = new Set(nodes.flatMap(needs));
  const graph: Graph = {
    name: 'constants',
    nodes,
    initializers: [...weights.values()].filter(({ name }) => needed.has(name)),
    sparseInitializers: [],
    inputs: [],
    outputs: outputs.map(
      (name): ValueInfo => ({ name, type: { kind: 'undefined' }, docString: '', metadataProps: [] }),
    ),
    valueInfo: [],
    docString: '',
    quantizationAnnotation: [],
    metadataProps: [],
  };
  // Older files would have to list their weights as inputs.
  return { ...model, irVersion: Math.max(model.irVersion, 4), graph };
}

/** A copy: results lie in memory of the runtime's. */
function asWeight(name: string, { dtype, shape, data }: Tensor): Initializer {
  const base = { name, dims: [...shape], dataType: DATA_TYPE[dtype], docString: '', metadataProps: [] };
  return dtype === 'string'
    ? { ...base, data: { kind: 'strings', values: data as readonly Uint8Array[] } }
    : { ...base, data: { kind: 'raw', bytes: new Uint8Array(data as Uint8Array) } };
}
