import { createHash } from 'node:crypto';
import type { Graph, Initializer, Model } from '../model.js';
import { annotatedNames, innerNames } from './names.js';
import type { Pass } from './pass.js';
import { renameUses } from './rename.js';
import { mapGraphs } from './walk.js';

/** Keeps one of the weights of a graph that are equal, bit for bit. External data is the same where its place is. */
export const duplicateWeights: Pass = {
  name: 'duplicate-weights',
  run: (model: Model) => mapGraphs(model, ofGraph),
};

function ofGraph(graph: Graph): Graph {
  // A weight that is declared as an input may be replaced by a caller, and an output keeps its name.
  const apart = new Set([...graph.inputs, ...graph.outputs].map(({ name }) => name));
  for (const names of [annotatedNames(graph), innerNames(graph)]) for (const name of names) apart.add(name);
  const first = new Map<string, string>();
  const replaced = new Map<string, string>();
  for (const group of bySize(graph.initializers.filter(({ name }) => !apart.has(name)))) {
    if (group.length < 2) continue;
    for (const weight of group) {
      const key = contentKey(weight);
      const known = first.get(key);
      if (known === undefined) first.set(key, weight.name);
      else replaced.set(weight.name, known);
    }
  }
  if (replaced.size === 0) return graph;
  return {
    ...graph,
    nodes: graph.nodes.map((node) => renameUses(node, replaced)),
    initializers: graph.initializers.filter(({ name }) => !replaced.has(name)),
    valueInfo: graph.valueInfo.filter(({ name }) => !replaced.has(name)),
  };
}

/** Weights that could be equal, so that bytes are read of no others. */
function bySize(weights: readonly Initializer[]): Iterable<Initializer[]> {
  const groups = new Map<string, Initializer[]>();
  for (const weight of weights) {
    const key = `${weight.dataType} ${weight.dims.join()}`;
    const group = groups.get(key);
    if (group) group.push(weight);
    else groups.set(key, [weight]);
  }
  return groups.values();
}

function contentKey({ dataType, dims, data }: Initializer): string {
  const type = `${dataType} ${dims.join()}`;
  if (data.kind === 'external') return `${type} ${data.offset} ${data.path}`;
  const hash = createHash('sha256');
  if (data.kind === 'raw') return `${type} ${hash.update(data.bytes).digest('hex')}`;
  for (const value of data.values) hash.update(`${value.byteLength}:`).update(value);
  return `${type} ${hash.digest('hex')}`;
}
