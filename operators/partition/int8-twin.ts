import { CutGraph } from '../../onnx/frontier.js';
import type { Model, Node } from '../../onnx/model.js';
import { validateCutIn } from '../../onnx/validate-cut.js';

/** A tensor of a cut that was replaced by its quantised form. */
export interface Moved {
  readonly from: string;
  readonly to: string;
}

/** A cut with its tensors quantised where the model has them so. */
export interface TwinCut {
  readonly tensors: readonly string[];
  readonly moved: readonly Moved[];
}

/**
 * Moves a cut to where its tensors are quantised, so that a quarter of the bytes crosses: a tensor that nothing but a
 * QuantizeLinear uses, to that node's output; one that a DequantizeLinear made, to that node's input; and a name that a
 * model of quantised operators (QOperator) no longer has, to `NAME_quantized`. The stages compute what they did: the
 * node that quantises is the last of the first one, the node that brings floats back the first of the second.
 *
 * A cut that would be none when it is moved stays.
 */
export function int8Twin(model: Model, tensors: readonly string[]): TwinCut {
  const graph = new CutGraph(model.graph);
  const moved = tensors.flatMap((from): Moved[] => {
    const to = twinOf(graph, from);
    return to === undefined ? [] : [{ from, to }];
  });
  if (moved.length === 0) return { tensors, moved };
  const at = new Set(tensors.map((name) => moved.find(({ from }) => from === name)?.to ?? name));
  try {
    return { tensors: validateCutIn(graph, [...at]).tensors, moved };
  } catch {
    return { tensors, moved: [] };
  }
}

/** Whether a model has a tensor of that name, or its quantised form alone. */
export function hasTensor(graph: CutGraph, name: string): boolean {
  return graph.tensorOf.has(name) || twinOf(graph, name) !== undefined;
}

function twinOf(graph: CutGraph, name: string): string | undefined {
  const { index } = graph;
  if (!graph.tensorOf.has(name)) {
    const quantised = `${name}_quantized`;
    return graph.tensorOf.has(quantised) ? quantised : undefined;
  }
  const isOutput = index.graph.outputs.some((output) => output.name === name);
  const users = index.consumers.get(name) ?? [];
  const user = users.length === 1 && !isOutput ? index.graph.nodes[users[0] as number] : undefined;
  if (user?.opType === 'QuantizeLinear' && user.inputs[0] === name && hasConstantScale(graph, user)) {
    return user.outputs[0];
  }
  const maker = index.graph.nodes[index.producer.get(name) ?? -1];
  if (maker?.opType === 'DequantizeLinear' && hasConstantScale(graph, maker)) {
    const [quantised = ''] = maker.inputs;
    return graph.tensorOf.has(quantised) ? quantised : undefined;
  }
  return undefined;
}

/** Scale and zero point are constants: each stage has its own. */
function hasConstantScale({ index }: CutGraph, { inputs }: Node): boolean {
  return inputs.slice(1).every((name) => name === '' || index.isConstant(name));
}
