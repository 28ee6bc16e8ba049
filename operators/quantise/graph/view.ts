import { GraphIndex } from '../../../onnx/graph.js';
import type { TensorType } from '../../../onnx/infer.js';
import { initializerTensor } from '../../../onnx/initializer.js';
import { DATA_TYPE, type Initializer, type Model, type Node } from '../../../onnx/model.js';
import { float32Values } from '../../../onnx/tensor.js';

/** A model as the quantiser looks at it: who makes what, of which type, and which tensors are weights. */
export class View {
  readonly model: Model;
  readonly index: GraphIndex;
  readonly #values: ReadonlyMap<string, TensorType>;
  readonly #weights: ReadonlyMap<string, Initializer>;
  readonly #outputs: ReadonlySet<string>;

  /** @param values of `inferValues` */
  constructor(model: Model, values: ReadonlyMap<string, TensorType>) {
    const { graph } = model;
    this.model = model;
    this.index = new GraphIndex(graph);
    this.#values = values;
    // Since IR version 4 an initializer that is an input too is a default that a caller may replace.
    const replaceable = new Set(model.irVersion >= 4 ? graph.inputs.map(({ name }) => name) : []);
    this.#weights = new Map(graph.initializers.filter(({ name }) => !replaceable.has(name)).map((w) => [w.name, w]));
    this.#outputs = new Set(graph.outputs.map(({ name }) => name));
  }

  /** Whether a tensor is known to be float32: nothing else is ever quantised. */
  isFloat(tensor: string): boolean {
    return this.#values.get(tensor)?.dtype === DATA_TYPE.float32;
  }

  /** Number of dimensions, where it is known. */
  rank(tensor: string): number | undefined {
    return this.#values.get(tensor)?.shape.length;
  }

  /** A float32 initializer that no caller can replace. */
  weight(tensor: string): Initializer | undefined {
    const found = this.#weights.get(tensor);
    return found?.dataType === DATA_TYPE.float32 ? found : undefined;
  }

  /** Elements of a small constant of any type; undefined when the tensor is no initializer. */
  constant(tensor: string): Initializer | undefined {
    return this.#weights.get(tensor);
  }

  isOutput(tensor: string): boolean {
    return this.#outputs.has(tensor);
  }

  /** Positions of the nodes that use a tensor, those that use it inside a subgraph too. */
  consumers(tensor: string): readonly number[] {
    return this.index.consumers.get(tensor) ?? [];
  }

  node(position: number): Node {
    return this.model.graph.nodes[position] as Node;
  }
}

/** A float32 initializer's elements. */
export function weightValues(weight: Initializer): Float32Array {
  return float32Values(initializerTensor(weight));
}

/** Whether a weight has neither infinite numbers nor NaN. */
export function allFinite(weight: Initializer): boolean {
  // Any of these times 0 is NaN: one sum over all is faster than asking each of millions.
  let sum = 0;
  for (const value of weightValues(weight)) sum += value * 0;
  return sum === 0;
}

/** What a node is called in options and facts: its name, or that of its first output. */
export function nodeLabel(node: Node): string {
  return node.name || (node.outputs[0] ?? '');
}
