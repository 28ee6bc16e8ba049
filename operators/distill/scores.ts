import type { Model, Node } from '../../onnx/model.js';
import { isOnnxDomain } from '../../onnx/passes/walk.js';

/** Operators that give their input on under another name. */
const NAMES_ON = new Set(['Identity', 'Dropout']);

/**
 * The tensor that holds a model's scores before they become probabilities: what a Softmax at the end takes, else the
 * output itself. Logarithms of probabilities are scores too: softmax makes the same of both.
 */
export function scoresOf(model: Model, output: string): string {
  let tensor = output;
  for (;;) {
    const node = model.graph.nodes.find(({ outputs }) => outputs[0] === tensor);
    if (node && isOnnxDomain(node.domain) && NAMES_ON.has(node.opType)) tensor = node.inputs[0] as string;
    else return node && isSoftmax(node) ? (node.inputs[0] as string) : output;
  }
}

/** The Softmax that makes a tensor; undefined where something else does. */
export function softmaxBehind({ graph }: Model, tensor: string): Node | undefined {
  const node = graph.nodes.find(({ outputs }) => outputs[0] === tensor);
  return node && isSoftmax(node) ? node : undefined;
}

function isSoftmax({ domain, opType }: Node): boolean {
  return isOnnxDomain(domain) && opType === 'Softmax';
}
