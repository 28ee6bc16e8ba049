import { TierbedError } from '../../base/errors.js';
import type { Attributes, GraphBuilder, Value } from '../build.js';
import type { TensorType } from '../infer.js';
import type { Node } from '../model.js';
import type { DenseTensor } from '../tensor.js';

/** Rows of a table that a Gather picked, with the gradient of each pick: to be added up outside the graph. */
export interface RowGradient {
  /** Row numbers of any shape, int64 or int32; negative ones count from the end. */
  readonly indices: Value;
  /** One row for each index: the indices' shape, then that of a row. */
  readonly rows: Value;
}

/** What a rule gets: a node, the gradients of its outputs, and all that is known when the graph is built. */
export interface GradNodeOptions {
  readonly node: Node;
  readonly builder: GraphBuilder;
  readonly outputGradients: readonly (Value | undefined)[];
  readonly shapes: ReadonlyMap<string, TensorType>;
  readonly wanted: readonly boolean[];
  /** Positions of inputs that take rows: tables whose gradient is asked for, and that nothing else is made of. */
  readonly takesRows: readonly boolean[];
  readonly constants: (tensor: string) => DenseTensor | undefined;
}

/**
 * A node whose gradient is to be made. Shapes are numbers: the graph is for one size of batch. `emit` adds nodes; what a
 * rule adds must have the same form in every version of ai.onnx from 18 on (so: axes of Reduce* as an input, Split with
 * its sizes).
 */
export class GradNode {
  readonly node: Node;
  readonly #options: GradNodeOptions;
  readonly #rows = new Map<number, RowGradient>();

  constructor(options: GradNodeOptions) {
    this.node = options.node;
    this.#options = options;
  }

  /** The node's name in messages. */
  get label(): string {
    return `${this.node.name || this.node.outputs[0]} (${this.node.opType})`;
  }

  get builder(): GraphBuilder {
    return this.#options.builder;
  }

  /** The gradient of the loss by an output; undefined when the loss does not depend on it. */
  outputGradient(i = 0): Value | undefined {
    return this.#options.outputGradients[i];
  }

  /** The gradient by the first output, which the loss depends on when a rule with one output is asked. */
  get dY(): Value {
    const value = this.#options.outputGradients[0];
    if (value === undefined) throw this.error('its first output has no gradient');
    return value;
  }

  /** Whether the gradient by an input is needed: a rule makes nothing for the others. */
  wants(i: number): boolean {
    return this.#options.wanted[i] ?? false;
  }

  /** Name of an input. @throws TierbedError `invalid` when the node leaves it out */
  input(i: number): Value {
    const name = this.node.inputs[i];
    if (name === undefined || name === '') throw this.error(`it has no input ${i}`);
    return name;
  }

  /** Whether the node has an input, which may be optional. */
  has(i: number): boolean {
    return (this.node.inputs[i] ?? '') !== '';
  }

  output(i = 0): Value {
    const name = this.node.outputs[i];
    if (name === undefined || name === '') throw this.error(`it has no output ${i}`);
    return name;
  }

  /** An optional output of the node, which gives it from now on if it did not. */
  savedOutput(i: number): Value {
    return this.builder.optionalOutput(this.output(), i);
  }

  /** The shape of a tensor of the model (not of one that a rule made). @throws TierbedError `invalid` when not known */
  shape(tensor: Value): readonly number[] {
    const dims = this.#options.shapes.get(tensor)?.shape;
    if (dims?.every((dim) => typeof dim === 'number')) return dims as readonly number[];
    throw this.error(`the shape of ${tensor} is not known before it runs`);
  }

  inputShape(i: number): readonly number[] {
    return this.shape(this.input(i));
  }

  outputShape(i = 0): readonly number[] {
    return this.shape(this.output(i));
  }

  /** The element type (TensorProto.DataType) of a tensor of the model; undefined when it is not known. */
  dataType(tensor: Value): number | undefined {
    return this.#options.shapes.get(tensor)?.dtype;
  }

  /** The elements of an input, where they are known before the graph runs. */
  known(i: number): DenseTensor | undefined {
    return this.#options.constants(this.input(i));
  }

  /** Whether an input is there and a constant. */
  isConstant(i: number): boolean {
    return this.has(i) && this.#options.constants(this.input(i)) !== undefined;
  }

  /** The elements of an input that is a constant. @throws TierbedError `invalid` when it is computed at run time */
  constant(i: number): DenseTensor {
    const found = this.#options.constants(this.input(i));
    if (found) return found;
    throw this.error(`its input ${i} (${this.input(i)}) is no constant`);
  }

  /** The numbers of a constant integer input. @throws as `constant` */
  integers(i: number): readonly number[] {
    const { dtype, data } = this.constant(i);
    // Not `slice`: that of a Buffer, as a file's weights are in, copies nothing.
    const bytes = new Uint8Array(data).buffer;
    if (dtype === 'int64') return Array.from(new BigInt64Array(bytes), Number);
    if (dtype === 'int32') return [...new Int32Array(bytes)];
    throw this.error(`its input ${i} is ${dtype}, not int64`);
  }

  /** Adds a node with one output. @returns the output */
  emit(opType: string, inputs: readonly (Value | undefined)[], attributes: Attributes = {}): Value {
    return this.builder.node(opType, inputs, attributes, {});
  }

  /** Adds a node with several outputs. */
  emitMany(
    opType: string,
    inputs: readonly (Value | undefined)[],
    outputs: number,
    attributes: Attributes = {},
  ): Value[] {
    return this.builder.nodeWithOutputs(opType, inputs, outputs, attributes, {});
  }

  /** The sum over axes. @param keep whether they stay, with size 1 */
  sum(x: Value, axes: readonly number[], keep = false): Value {
    if (axes.length === 0) return x;
    return this.emit('ReduceSum', [x, this.builder.int64(axes)], { keepdims: keep ? 1 : 0 });
  }

  /** The mean over axes. */
  mean(x: Value, axes: readonly number[], keep = false): Value {
    if (axes.length === 0) return x;
    return this.emit('ReduceMean', [x, this.builder.int64(axes)], { keepdims: keep ? 1 : 0 });
  }

  reshape(x: Value, shape: readonly number[]): Value {
    return this.emit('Reshape', [x, this.builder.int64(shape)]);
  }

  transpose(x: Value, perm: readonly number[]): Value {
    return this.emit('Transpose', [x], { perm });
  }

  /** A scalar of float32. */
  scalar(value: number): Value {
    return this.builder.float32(value);
  }

  /**
   * What a gradient over a broadcast shape is for the operand that was broadcast: summed over the axes that it did not
   * have, or had once.
   */
  reduceTo(gradient: Value, from: readonly number[], to: readonly number[]): Value {
    const lead = from.length - to.length;
    const axes = from.flatMap((size, axis) => (axis < lead || (to[axis - lead] === 1 && size !== 1) ? [axis] : []));
    if (axes.length === 0) return gradient;
    const kept = axes.every((axis) => axis < lead);
    const summed = this.sum(gradient, axes, !kept);
    return kept || lead === 0 ? summed : this.reshape(summed, to);
  }

  /** Whether an input's gradient may be given as rows (`giveRows`). */
  takesRows(i: number): boolean {
    return this.#options.takesRows[i] ?? false;
  }

  /** Gives the gradient by an input that is a table as the rows that were picked: the rule returns undefined for it. */
  giveRows(i: number, rows: RowGradient): void {
    this.#rows.set(i, rows);
  }

  /** @internal for `differentiate` */
  rowsOf(i: number): RowGradient | undefined {
    return this.#rows.get(i);
  }

  error(reason: string, fix?: string): TierbedError {
    return new TierbedError('invalid', `${this.label} cannot be differentiated: ${reason}`, fix ? { fix } : {});
  }
}
