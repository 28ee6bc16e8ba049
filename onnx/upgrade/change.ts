import type { Attribute, Dim, Node } from '../model.js';
import type { DenseTensor } from '../tensor.js';

/**
 * Writes a node in the form of the next version of ai.onnx, as one node or several that compute the same. The last of
 * them makes the node's outputs.
 */
export type Change = (node: Node, context: ChangeContext) => readonly Node[];

/** What a change may ask of the model around its node, and add to it. */
export interface ChangeContext {
  /** The version that the node is written for. */
  readonly version: number;
  /** Adds a constant to the graph, under a name made from the one given. */
  constant(stem: string, tensor: DenseTensor): string;
  /** A tensor name that is free, made from the one given. */
  freeName(stem: string): string;
  /** TensorProto.DataType of a tensor, where it is known. */
  dtype(tensor: string): number | undefined;
  shape(tensor: string): readonly Dim[] | undefined;
  /** Elements of a constant of float32. */
  floats(tensor: string): readonly number[] | undefined;
  /** Whether anything uses a tensor, or it is an output of its graph. */
  isUsed(tensor: string): boolean;
  /** @throws TierbedError `invalid` that names the node */
  refuse(node: Node, why: string): never;
}

/** A name for messages and for what is added: the node's, or that of the first tensor it makes. */
export function nameOf(node: Node): string {
  return node.name || node.outputs.find((name) => name !== '') || node.opType;
}

/** A node without some of its attributes; the node itself when it has none of them. */
export function without(node: Node, ...names: readonly string[]): Node {
  if (!node.attributes.some(({ name }) => names.includes(name))) return node;
  return { ...node, attributes: node.attributes.filter(({ name }) => !names.includes(name)) };
}

/** A node with further attributes, in place of those of the same names. */
export function withAttributes(node: Node, added: readonly Attribute[]): Node {
  const { attributes } = without(node, ...added.map(({ name }) => name));
  return { ...node, attributes: [...attributes, ...added] };
}

/** A node with inputs put behind its first; undefined is one left out. */
export function withInputs(node: Node, ...added: readonly (string | undefined)[]): Node {
  const inputs = [node.inputs[0] ?? '', ...added.map((name) => name ?? '')];
  while (inputs.at(-1) === '') inputs.pop();
  return { ...node, inputs };
}

/** A further node beside one that is changed. */
export function besides(
  node: Node,
  opType: string,
  inputs: readonly string[],
  output: string,
  attributes: readonly Attribute[] = [],
): Node {
  return {
    name: `${nameOf(node)}/${opType}`,
    opType,
    domain: '',
    inputs,
    outputs: [output],
    attributes,
    docString: '',
    overload: '',
    metadataProps: [],
  };
}
