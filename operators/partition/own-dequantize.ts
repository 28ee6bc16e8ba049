import { GraphIndex } from '../../onnx/graph.js';
import type { Model, Node } from '../../onnx/model.js';

/**
 * Gives every node that uses a dequantised tensor a DequantizeLinear of its own, as ONNX Runtime does when it fuses int8
 * kernels: so a cut can go between two users of one tensor (through a residual block) and what crosses is the int8 tensor.
 * The first user keeps the tensor's name; so does an output of the model.
 *
 * @returns the model itself where there is nothing to do
 */
export function withOwnDequantize(model: Model): Model {
  const { graph } = model;
  const index = new GraphIndex(graph);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const copies: Node[] = [];
  /** By user, what its inputs are called from now on. */
  const renamed = new Map<number, Map<string, string>>();
  graph.nodes.forEach((node, i) => {
    const [name = ''] = node.outputs;
    if (node.opType !== 'DequantizeLinear' || index.constantNodes[i]) return;
    const users = (index.consumers.get(name) ?? []).filter((user) => graph.nodes[user]?.inputs.includes(name));
    // A subgraph that captures the tensor keeps it, as an output does.
    const kept = outputs.has(name) || users.length < (index.consumers.get(name) ?? []).length ? 0 : 1;
    for (const [n, user] of users.slice(kept).entries()) {
      const copy = freeName(index, `${name}_${n + 2}`);
      copies.push({ ...node, name: node.name && `${node.name}_${n + 2}`, outputs: [copy] });
      renamed.set(user, (renamed.get(user) ?? new Map()).set(name, copy));
    }
  });
  if (copies.length === 0) return model;
  const nodes = graph.nodes.map((node, i): Node => {
    const names = renamed.get(i);
    return names ? { ...node, inputs: node.inputs.map((name) => names.get(name) ?? name) } : node;
  });
  return { ...model, graph: { ...graph, nodes: sorted([...nodes, ...copies]) } };
}

function freeName(index: GraphIndex, name: string): string {
  return index.has(name) ? freeName(index, `${name}_`) : name;
}

/** In an order in which they can run. */
function sorted(nodes: readonly Node[]): Node[] {
  const index = new GraphIndex({ ...EMPTY, nodes });
  return index.order.map((i) => nodes[i] as Node);
}

const EMPTY = {
  ...{ name: '', initializers: [], sparseInitializers: [], inputs: [], outputs: [], valueInfo: [], docString: '' },
  ...{ quantizationAnnotation: [], metadataProps: [] },
};
