import { initializerElements } from '../initializer.js';
import { DATA_TYPE, type Model, type Node } from '../model.js';
import { isOnnxDomain } from '../passes/walk.js';

/** Inputs that say how a node works, and are not weights: by operator, their positions. */
const SETTINGS: Readonly<Record<string, readonly number[]>> = {
  BatchNormalization: [3, 4],
  Clip: [1, 2],
  Pad: [2],
  Resize: [1, 2],
  QuantizeLinear: [1, 2],
  DequantizeLinear: [1, 2],
  Where: [0],
  Pow: [1],
};

/**
 * The weights of a model that training may change: float32 initializers of the main graph of more than one element that
 * a node takes as an operand. Single numbers (as the square root that scores are divided by), running statistics and the
 * bounds of Clip are no weights.
 */
export function trainableWeights({ graph }: Model): string[] {
  const taken = new Set<string>();
  const settings = new Set<string>();
  for (const node of graph.nodes) {
    for (const [i, name] of node.inputs.entries()) (isSetting(node, i) ? settings : taken).add(name);
  }
  return graph.initializers
    .filter((each) => each.dataType === DATA_TYPE.float32 && initializerElements(each) > 1)
    .map(({ name }) => name)
    .filter((name) => taken.has(name) && !settings.has(name));
}

function isSetting(node: Node, input: number): boolean {
  return isOnnxDomain(node.domain) && (SETTINGS[node.opType]?.includes(input) ?? false);
}
