import type { Dim, Graph, Initializer, Node } from '../model.js';

/**
 * What is known of a tensor before it is computed. `value` is there for small tensors that shape arithmetic may need:
 * the elements in row-major order, each a number (bool: 0 or 1), a symbolic expression, or undefined.
 */
export interface Known {
  readonly dtype: number | undefined;
  /** undefined when not even the rank is known. */
  readonly shape: readonly Dim[] | undefined;
  readonly value?: readonly Dim[] | undefined;
}

export const UNKNOWN: Known = { dtype: undefined, shape: undefined };

/** Gives the types of a node's outputs, in order; may leave trailing ones out. */
export type Rule = (c: NodeContext) => readonly Known[];

/** Rules by operator: `Conv` for ai.onnx, `com.microsoft:FusedConv` for others. */
export type Rules = Readonly<Record<string, Rule>>;

/** Infers a subgraph: knowledge of its inputs in, of its outputs out. */
export type InferGraph = (graph: Graph, inputs: readonly Known[]) => readonly Known[];

/** A node as rules see it: its attributes by name and what is known of its inputs. */
export class NodeContext {
  readonly node: Node;
  /** Version of the operator set of the node's domain. */
  readonly opset: number;
  readonly #inputs: readonly (Known | undefined)[];
  readonly inferGraph: InferGraph;

  constructor(node: Node, opset: number, inputs: readonly (Known | undefined)[], inferGraph: InferGraph) {
    this.node = node;
    this.opset = opset;
    this.#inputs = inputs;
    this.inferGraph = inferGraph;
  }

  get inputCount(): number {
    return this.#inputs.length;
  }

  /** False for an optional input that was left out. */
  has(index: number): boolean {
    return this.#inputs[index] !== undefined;
  }

  input(index: number): Known {
    return this.#inputs[index] ?? UNKNOWN;
  }

  dtype(index: number): number | undefined {
    return this.input(index).dtype;
  }

  shape(index: number): readonly Dim[] | undefined {
    return this.input(index).shape;
  }

  value(index: number): readonly Dim[] | undefined {
    return this.input(index).value;
  }

  #attribute<T extends string>(name: string, type: T) {
    const value = this.node.attributes.find((a) => a.name === name)?.value;
    return value?.type === type ? (value as Extract<typeof value, { type: T }>) : undefined;
  }

  hasAttribute(name: string): boolean {
    return this.node.attributes.some((a) => a.name === name);
  }

  int(name: string): number | undefined;
  int(name: string, otherwise: number): number;
  int(name: string, otherwise?: number): number | undefined {
    const value = this.#attribute(name, 'int');
    return value ? Number(value.i) : otherwise;
  }

  ints(name: string): number[] | undefined {
    return this.#attribute(name, 'ints')?.ints.map(Number);
  }

  float(name: string): number | undefined {
    return this.#attribute(name, 'float')?.f;
  }

  floats(name: string): readonly number[] | undefined {
    return this.#attribute(name, 'floats')?.floats;
  }

  string(name: string, otherwise: string): string {
    const value = this.#attribute(name, 'string');
    return value ? Buffer.from(value.s).toString('utf8') : otherwise;
  }

  tensor(name: string): Initializer | undefined {
    return this.#attribute(name, 'tensor')?.t;
  }

  graph(name: string): Graph | undefined {
    return this.#attribute(name, 'graph')?.g;
  }
}

/** An axis counted from the front; undefined when out of range. */
export function axisOf(axis: number, rank: number): number | undefined {
  const positive = axis < 0 ? axis + rank : axis;
  return positive >= 0 && positive < rank ? positive : undefined;
}

/** Axes counted from the front, sorted; undefined when one is unknown or out of range. */
export function axesOf(axes: readonly Dim[] | undefined, rank: number): number[] | undefined {
  const result: number[] = [];
  for (const axis of axes ?? [undefined]) {
    const positive = typeof axis === 'number' ? axisOf(axis, rank) : undefined;
    if (positive === undefined) return undefined;
    result.push(positive);
  }
  return result.sort((a, b) => a - b);
}

/** Axes that moved from an attribute to an input: undefined when given but not known, null when not given. */
export function axesOption(c: NodeContext, input: number): readonly Dim[] | undefined | null {
  const attribute = c.ints('axes');
  if (attribute) return attribute;
  return c.has(input) ? c.value(input) : null;
}

/** A shape of this rank of which no dimension is known. */
export function unknownDims(rank: number): Dim[] {
  return new Array<Dim>(rank).fill(undefined);
}

/** A copy of a shape with one dimension replaced. */
export function withDim(shape: readonly Dim[], axis: number, dim: Dim): Dim[] {
  return shape.map((d, i) => (i === axis ? dim : d));
}
