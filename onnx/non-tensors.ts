import { graphAttr } from './attribute.js';
import type { Graph, Node, ValueInfo } from './model.js';

/** Operators whose first output is a sequence, an optional or a map. */
const MAKERS = new Set([
  'SequenceEmpty',
  'SequenceConstruct',
  'SequenceInsert',
  'SequenceErase',
  'SequenceMap',
  'SplitToSequence',
  'Optional',
  'ai.onnx.ml:ZipMap',
]);

/** Operators that hand their first input on as it is. */
const PASSERS = new Set(['Identity', 'OptionalGetElement']);

/**
 * Values of a graph that are no tensors but sequences, optionals or maps: neither the wire nor a cut carries these. Known
 * from the operators that make them, and from what the file declares.
 */
export function nonTensors(graph: Graph, order: readonly number[]): ReadonlySet<string> {
  const found = new Set<string>();
  for (const info of [...graph.inputs, ...graph.valueInfo, ...graph.outputs])
    if (isNoTensor(info)) found.add(info.name);
  for (const i of order) {
    const node = graph.nodes[i] as Node;
    const operator = node.domain === '' || node.domain === 'ai.onnx' ? node.opType : `${node.domain}:${node.opType}`;
    const first = node.outputs[0];
    if (first && (MAKERS.has(operator) || (PASSERS.has(operator) && found.has(node.inputs[0] ?? '')))) found.add(first);
    declaredInside(node, operator).forEach((info, at) => {
      const output = node.outputs[at];
      if (output && isNoTensor(info)) found.add(output);
    });
  }
  return found;
}

/** The outputs of a node's subgraph that become its own. */
function declaredInside(node: Node, operator: string): readonly ValueInfo[] {
  if (operator === 'If') return graphAttr(node, 'then_branch')?.outputs ?? [];
  // The first output of a loop's body is its condition.
  if (operator === 'Loop') return graphAttr(node, 'body')?.outputs.slice(1) ?? [];
  return [];
}

function isNoTensor({ type }: ValueInfo): boolean {
  return ['sequence', 'optional', 'map', 'opaque', 'sparseTensor'].includes(type.kind);
}
