import { type Attributes, attributesOf } from '../../onnx/build.js';
import type { Node } from '../../onnx/model.js';
import type { TraceNode } from './trace.js';

/** How labels pass a type of node, and what its node is when indices are gone. */
export interface PruneRule {
  /**
   * Couples the labels of a node's inputs, and gives its outputs theirs.
   *
   * @returns false when the node cannot be followed: then all that it uses keeps its size
   */
  readonly trace: (at: TraceNode) => boolean | undefined;
  /** The node for tensors that have lost indices; without it, the node is right as it is. */
  readonly shrink?: (at: ShrinkNode) => Node;
}

export type PruneRules = Readonly<Record<string, PruneRule>>;

/** A node of a model that is being made smaller. */
export interface ShrinkNode {
  readonly node: Node;
  readonly opset: number;
  /** An axis' indices that stay, ascending; undefined where all do. */
  kept(tensor: string, axis: number): readonly number[] | undefined;
  /** The shape that a tensor had. */
  before(tensor: string): readonly number[] | undefined;
  /** The same as symbols: dimensions that are free are texts, or undefined. */
  symbolic(tensor: string): readonly (number | string | undefined)[] | undefined;
  /** The elements of a constant. */
  integers(tensor: string | undefined): readonly number[] | undefined;
  /** A constant of whole numbers for this node alone: its name. `like` is what it stands for: it has its type and rank. */
  constant(values: readonly number[], like?: string): string;
}

/** The size of an axis when indices are gone. */
export function sizeOf(at: ShrinkNode, tensor: string, axis: number): number {
  return at.kept(tensor, axis)?.length ?? at.before(tensor)?.[axis] ?? 1;
}

/** A node with an input replaced. */
export function withInput(node: Node, input: number, name: string): Node {
  const inputs = [...node.inputs];
  while (inputs.length <= input) inputs.push('');
  inputs[input] = name;
  return { ...node, inputs };
}

/** A node with attributes replaced, or taken out where they are undefined. */
export function withAttributes(node: Node, attributes: Attributes): Node {
  const others = node.attributes.filter(({ name }) => !Object.hasOwn(attributes, name));
  return { ...node, attributes: [...others, ...attributesOf(attributes)] };
}
