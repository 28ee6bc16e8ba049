import { floatAttr, intAttr, intsAttr, stringAttr } from '../../onnx/attribute.js';
import type { GraphIndex } from '../../onnx/graph.js';
import type { TensorType } from '../../onnx/infer.js';
import { DATA_TYPE, type Initializer, type Model, type Node } from '../../onnx/model.js';
import { onnxVersion } from '../../onnx/passes/walk.js';
import { axisOf } from '../../onnx/shapes/context.js';
import { type AxisLabels, Coupling, type Reason } from './coupling.js';

/** Labels along each axis of a tensor; undefined along an axis that keeps its size. */
export type TensorLabels = readonly (AxisLabels | undefined)[];

/** Types of weights; whole numbers are shapes, indices and the like. */
const FLOATS: readonly number[] = [DATA_TYPE.float32, DATA_TYPE.float16, DATA_TYPE.float64, DATA_TYPE.bfloat16];

/**
 * What labels the axes of a model's tensors have, as far as nodes were followed. Weights are where labels come from: an
 * axis of an initializer gets its own when a node first asks for it.
 */
export class Trace {
  readonly model: Model;
  readonly index: GraphIndex;
  readonly opset: number;
  readonly coupling = new Coupling();
  /** Shapes in which free dimensions are symbols. */
  readonly symbolic: ReadonlyMap<string, TensorType>;
  /** By position of a node that splits an axis: which of the axes that it makes can lose indices. */
  readonly carriers: ReadonlyMap<number, number>;
  /** Of each such node: how many axes there were to choose from, and the labels of the chosen one. */
  readonly splits = new Map<number, { readonly choices: number; readonly labels: AxisLabels }>();
  readonly #shapes: ReadonlyMap<string, TensorType>;
  readonly #initializers: ReadonlyMap<string, Initializer>;
  readonly #labels = new Map<string, (AxisLabels | undefined)[]>();
  /** Axes of initializers that are not to get labels. */
  readonly #fixed = new Set<string>();
  /** By the first label of an initializer's axis: the node that asked for it. */
  readonly #origins = new Map<number, Node>();

  constructor(
    model: Model,
    index: GraphIndex,
    shapes: ReadonlyMap<string, TensorType>,
    symbolic: ReadonlyMap<string, TensorType>,
    carriers: ReadonlyMap<number, number>,
  ) {
    this.symbolic = symbolic;
    this.model = model;
    this.index = index;
    this.opset = onnxVersion(model);
    this.carriers = carriers;
    this.#shapes = shapes;
    this.#initializers = new Map(model.graph.initializers.map((each) => [each.name, each]));
  }

  /** A tensor's shape; undefined when some of it is not known. */
  shape(tensor: string): readonly number[] | undefined {
    const initializer = this.#initializers.get(tensor);
    if (initializer) return initializer.dims;
    const shape = this.#shapes.get(tensor)?.shape;
    return shape?.every((dim) => typeof dim === 'number') ? (shape as readonly number[]) : undefined;
  }

  isInitializer(tensor: string): boolean {
    return this.#initializers.has(tensor);
  }

  /** The elements of a constant of whole numbers; undefined when it is none. */
  integers(tensor: string | undefined): readonly number[] | undefined {
    return integersOf(this.#initializers.get(tensor ?? ''));
  }

  /** The labels along an axis. @param node asks: what an initializer's labels are known by */
  axis(tensor: string, axis: number, node: Node): AxisLabels | undefined {
    const initializer = this.#initializers.get(tensor);
    const known = this.#labels.get(tensor)?.[axis];
    if (known || !initializer) return known;
    const size = initializer.dims[axis] ?? 1;
    if (size <= 1 || !FLOATS.includes(initializer.dataType) || this.#fixed.has(`${axis} ${tensor}`)) return undefined;
    const labels = this.coupling.fresh(size);
    this.#labelsOf(tensor)[axis] = labels;
    this.#origins.set(labels[0] as number, node);
    return labels;
  }

  /** Says that an axis keeps its size. */
  fix(tensor: string, axis: number, reason: Reason): void {
    const labels = this.#labels.get(tensor)?.[axis];
    if (labels) this.coupling.pin(labels, reason);
    else if (this.#initializers.has(tensor)) this.#fixed.add(`${axis} ${tensor}`);
  }

  /** Says what the labels of a node's output are. */
  give(tensor: string, labels: TensorLabels): void {
    if (tensor !== '') this.#labels.set(tensor, [...labels]);
  }

  /** All that has labels, by tensor. */
  get labels(): ReadonlyMap<string, TensorLabels> {
    return this.#labels;
  }

  /** The node that the label of an initializer's axis is known by: the one that asked for it first. */
  origin(tensor: string, axis: number): Node | undefined {
    return this.#origins.get(this.#labels.get(tensor)?.[axis]?.[0] ?? -1);
  }

  #labelsOf(tensor: string): (AxisLabels | undefined)[] {
    const known = this.#labels.get(tensor);
    if (known) return known;
    const labels: (AxisLabels | undefined)[] = [];
    this.#labels.set(tensor, labels);
    return labels;
  }
}

/** The elements of a constant of whole numbers; undefined when it is none, or not in memory. */
export function integersOf(initializer: Initializer | undefined): readonly number[] | undefined {
  if (initializer?.data.kind !== 'raw') return undefined;
  const { bytes } = initializer.data;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (initializer.dataType === DATA_TYPE.int64) {
    return Array.from({ length: bytes.byteLength / 8 }, (_, i) => Number(view.getBigInt64(8 * i, true)));
  }
  if (initializer.dataType !== DATA_TYPE.int32) return undefined;
  return Array.from({ length: bytes.byteLength / 4 }, (_, i) => view.getInt32(4 * i, true));
}

/** A node that is followed: what its inputs' axes are labelled with, and what is to be said of its outputs. */
export class TraceNode {
  readonly node: Node;
  readonly position: number;
  readonly trace: Trace;

  constructor(trace: Trace, position: number) {
    this.trace = trace;
    this.position = position;
    this.node = trace.model.graph.nodes[position] as Node;
  }

  /** As messages have it. */
  get label(): string {
    return `${this.node.name || this.node.outputs[0]} (${this.node.opType})`;
  }

  get coupling(): Coupling {
    return this.trace.coupling;
  }

  get opset(): number {
    return this.trace.opset;
  }

  int(name: string, otherwise: number): number {
    return intAttr(this.node, name) ?? otherwise;
  }

  ints(name: string): readonly number[] | undefined {
    return intsAttr(this.node, name);
  }

  text(name: string, otherwise: string): string {
    return stringAttr(this.node, name) ?? otherwise;
  }

  float(name: string): number | undefined {
    return floatAttr(this.node, name);
  }

  has(input: number): boolean {
    return (this.node.inputs[input] ?? '') !== '';
  }

  name(input: number): string {
    return this.node.inputs[input] ?? '';
  }

  shape(input: number): readonly number[] | undefined {
    return this.trace.shape(this.name(input));
  }

  outputShape(output = 0): readonly number[] | undefined {
    return this.trace.shape(this.node.outputs[output] ?? '');
  }

  integers(input: number): readonly number[] | undefined {
    return this.trace.integers(this.node.inputs[input]);
  }

  /** Labels along an input's axis, which may count from the end. */
  axis(input: number, axis: number): AxisLabels | undefined {
    return this.trace.axis(this.name(input), this.#fromFront(input, axis), this.node);
  }

  /** The same along all axes: what is labelled already, and of initializers every axis. */
  axes(input: number): TensorLabels {
    return (this.shape(input) ?? []).map((_, axis) => this.axis(input, axis));
  }

  /** Whether an input is a weight. */
  isWeight(input: number): boolean {
    return this.trace.isInitializer(this.name(input));
  }

  /** Says that an input's axis keeps its size. */
  fix(input: number, axis: number, reason: Reason): void {
    this.trace.fix(this.name(input), this.#fromFront(input, axis), reason);
  }

  /** Says that every axis of everything that the node uses keeps its size, and so those of its outputs. */
  fixAll(reason: Reason): void {
    for (const tensor of this.trace.index.uses[this.position] ?? []) {
      const rank = this.trace.shape(tensor)?.length ?? this.trace.labels.get(tensor)?.length ?? 0;
      for (let axis = 0; axis < rank; axis++) this.trace.fix(tensor, axis, reason);
    }
  }

  /**
   * Couples axes of inputs, which have one size but where they are broadcast. Where one of them keeps its size all do.
   *
   * @param among input and axis of each
   * @returns the labels, or undefined
   */
  couple(among: readonly (readonly [input: number, axis: number])[]): AxisLabels | undefined {
    const wide = among.filter(([input, axis]) => (this.shape(input)?.at(axis) ?? 1) > 1);
    const activations = wide.filter(([input]) => !this.isWeight(input));
    const still = activations.find(([input, axis]) => !this.axis(input, axis));
    if (still) {
      for (const [input, axis] of wide) this.fix(input, axis, this.meets(still[0]));
      return undefined;
    }
    const labels = wide.map(([input, axis]) => this.axis(input, axis));
    if (labels.some((each) => !each)) {
      for (const [input, axis] of wide) this.fix(input, axis, `${this.label} joins them with a weight of a fixed size`);
      return undefined;
    }
    const [first, ...others] = labels as AxisLabels[];
    if (first) for (const other of others) this.coupling.joinAxes(first, other);
    return first;
  }

  /** Couples labels with an axis of an input that goes beside them, such as a bias. */
  accompany(labels: AxisLabels | undefined, input: number, axis: number): void {
    if (!this.has(input) || (this.shape(input)?.at(axis) ?? 1) <= 1) return;
    if (!labels) {
      this.fix(input, axis, `${this.label} has a fixed number of them`);
      return;
    }
    const other = this.axis(input, axis);
    if (other) this.coupling.joinAxes(labels, other);
    else this.coupling.pin(labels, this.meets(input));
  }

  give(labels: TensorLabels, output = 0): void {
    this.trace.give(this.node.outputs[output] ?? '', labels);
  }

  meets(input: number): Reason {
    const tensor = this.name(input);
    const from = this.trace.index.inputs.includes(tensor) ? `the model's input ${tensor}` : tensor;
    return `${this.label} takes them with ${from}, which keeps its size`;
  }

  #fromFront(input: number, axis: number): number {
    return axis >= 0 ? axis : (axisOf(axis, this.shape(input)?.length ?? 0) ?? -1);
  }
}
