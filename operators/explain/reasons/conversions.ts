import { GraphIndex } from '../../../onnx/graph.js';
import type { Node } from '../../../onnx/model.js';
import type { NodeWork } from '../node-work.js';
import { countOf, type FindReason, formatMs, named, sumMs } from './reason.js';

/**
 * Kernels that quantise and dequantise, left over in the optimised graph: those at the model's inputs and outputs must
 * be; others stand where an int8 node meets a float one, or around a node that the runtime could not fuse with them.
 */
export const conversions: FindReason = ({ variant }) => {
  const left = variant.work.filter(({ precision }) => precision === 'conversion');
  const ms = sumMs(left);
  if (left.length === 0) return undefined;
  const { graph } = variant.profile.optimized;
  const index = new GraphIndex(graph);
  const byNode = new Map(variant.work.flatMap((work) => (work.node ? [[work.node, work] as const] : [])));
  const outputs = new Set(graph.outputs.map(({ name }) => name));

  const fedBy = (node: Node): readonly NodeWork[] =>
    node.outputs
      .flatMap((name) => index.consumers.get(name) ?? [])
      .flatMap((i) => byNode.get(graph.nodes[i] as Node) ?? []);
  const isAtEdge = ({ node }: NodeWork): boolean =>
    node !== undefined &&
    (index.inputs.includes(node.inputs[0] ?? '') || node.outputs.some((name) => outputs.has(name)));
  const note = (work: NodeWork): string | undefined => {
    if (!work.node) return undefined;
    if (isAtEdge(work)) return "at the model's edge";
    const fed = fedBy(work.node);
    return fed.length > 0 ? `feeds ${fed.map(({ name, kernel }) => `${name} (${kernel})`).join(', ')}` : undefined;
  };

  // A node that multiplies in float, fed by a DequantizeLinear, is one whose pair was meant to fuse.
  const unfused = new Set(
    left
      .filter(({ kernel }) => kernel.endsWith('DequantizeLinear'))
      .flatMap(({ node }) => (node ? fedBy(node) : []))
      .filter(({ precision, macs }) => precision === 'float' && macs > 0),
  );
  const atEdges = left.filter(isAtEdge);
  const parts = [
    `Quantising and dequantising takes ${countOf(left.length, 'node')} of its own and ${formatMs(ms)}`,
    ...(atEdges.length > 0 ? [`${formatMs(sumMs(atEdges))} of it at the model's inputs and outputs`] : []),
  ];
  const lost =
    unfused.size > 0
      ? ` Not fused with the pairs around them: ${countOf(unfused.size, 'node')}, ${formatMs(sumMs([...unfused]))} of ` +
        `multiplying still in float (${[...unfused]
          .slice(0, 3)
          .map(({ name }) => name)
          .join(', ')}${unfused.size > 3 ? '...' : ''}).`
      : '';
  return { reason: 'conversions', ms, says: `${parts.join('; ')}.${lost}`, nodes: named(left, note) };
};
