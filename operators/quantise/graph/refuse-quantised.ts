import { TierbedError } from '../../../base/errors.js';
import { subgraphs } from '../../../onnx/attribute.js';
import type { Model, Node } from '../../../onnx/model.js';
import { nodeLabel } from './view.js';

/** Operators of quantised models, of ONNX and of ONNX Runtime. */
const QUANTISED =
  /^(QuantizeLinear|DequantizeLinear|DynamicQuantize\w+|QLinear\w+|QGemm|QAttention|QOrdered\w+|QEmbed\w+|QMoE|\w+Integer|MatMulIntegerToFloat|MatMulNBits|\w+Bnb4)$/;

/** The first node that says a model is quantised, subgraphs and functions included; undefined when there is none. */
export function quantisedNode(model: Model): Node | undefined {
  return find(model.graph.nodes) ?? find(model.functions.flatMap(({ nodes }) => nodes));
}

function find(nodes: readonly Node[]): Node | undefined {
  for (const node of nodes) {
    if (QUANTISED.test(node.opType)) return node;
    for (const graph of subgraphs(node)) {
      const inner = find(graph.nodes);
      if (inner) return inner;
    }
  }
  return undefined;
}

/** @throws TierbedError `invalid` when a model is quantised already: another rounding on top would only lose */
export function refuseQuantised(model: Model, name: string): void {
  const node = quantisedNode(model);
  if (!node) return;
  throw new TierbedError(
    'invalid',
    `${name}: the model is quantised already: node ${nodeLabel(node)} is a ${node.opType}`,
    {
      fix: 'Start from the float model.',
    },
  );
}
