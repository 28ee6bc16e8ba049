import { stringAttr } from '../../onnx/attribute.js';
import { captures } from '../../onnx/graph.js';
import type { TensorType } from '../../onnx/infer.js';
import { DATA_TYPE, type Initializer, type Node } from '../../onnx/model.js';
import { denseTensor, float32Tensor } from '../../onnx/tensor.js';
import { activationParams } from '../quantise/graph/activations.js';
import { Emitter } from '../quantise/graph/emitter.js';
import type { WeightOptions } from '../quantise/graph/parts.js';
import { type Plan, type PlannedNode, rangeOf, rangeSource, resultName } from '../quantise/graph/plan.js';
import { productOf } from '../quantise/graph/products.js';
import { weightValues } from '../quantise/graph/view.js';
import type { Range } from '../quantise/range.js';
import { roundConstant, roundProduct, tableScale } from './rounding.js';
import type {
  RangeKind,
  SimulatedConstant,
  SimulatedRange,
  SimulatedTable,
  SimulatedWeight,
  Simulation,
} from './simulation.js';

export interface SimulateOptions extends WeightOptions {
  readonly ranges: RangeKind;
  /** Types of the float model's tensors. */
  readonly types?: ReadonlyMap<string, TensorType>;
  /** Numbers for symbols in shapes. */
  readonly dims?: Readonly<Record<string, number>>;
}

/**
 * Makes the simulation of a quantised model: the float model with fake quantisation on exactly the tensors that the plan
 * makes int8, weights and biases among them. Activations go through the kernels that will quantise them, so that they are
 * rounded and saturated as they will be.
 *
 * @param ranges of the plan's tensors, all finite: where the simulation starts from
 */
export function simulate(plan: Plan, ranges: ReadonlyMap<string, Range>, options: SimulateOptions): Simulation {
  return new Simulator(plan, ranges, options).run();
}

/** Scale and zero point in the simulation. */
interface Steps {
  readonly scale: string;
  readonly zeroPoint: string;
}

class Simulator {
  readonly #plan: Plan;
  readonly #given: ReadonlyMap<string, Range>;
  readonly #options: SimulateOptions;
  readonly #emitter: Emitter;
  /** Tensors that must be there as float under their own name: outputs, and what subgraphs use. */
  readonly #final: ReadonlySet<string>;
  /** The float tensor that fake quantisation makes of a tensor. */
  readonly #fakes = new Map<string, string>();
  readonly #steps = new Map<string, Steps>();
  readonly #ranges: SimulatedRange[] = [];
  readonly #weights: SimulatedWeight[] = [];
  readonly #tables: SimulatedTable[] = [];
  readonly #constants: SimulatedConstant[] = [];

  constructor(plan: Plan, ranges: ReadonlyMap<string, Range>, options: SimulateOptions) {
    this.#plan = plan;
    this.#given = ranges;
    this.#options = options;
    this.#emitter = new Emitter(plan.view.model);
    const { graph } = plan.view.model;
    this.#final = new Set([...graph.outputs.map(({ name }) => name), ...graph.nodes.flatMap((n) => [...captures(n)])]);
  }

  run(): Simulation {
    for (const position of this.#plan.view.index.order) this.#add(position);
    const model = this.#emitter.model();
    const [ranges, weights, tables, constants] = [this.#ranges, this.#weights, this.#tables, this.#constants];
    return { model, ranges, weights, tables, constants };
  }

  #add(position: number): void {
    const node = this.#plan.view.node(position);
    const planned = this.#plan.nodes.get(position);
    if (!planned) this.#emitter.add({ ...node, inputs: node.inputs.map((name) => this.#float(name)) });
    else if (planned.form === 'table') this.#table(node);
    else if (planned.form === 'floor') {
      // Only the lower bound is the node's: the range ends at the upper one.
      this.#int8(planned, { ...node, opType: 'Relu', inputs: node.inputs.slice(0, 1), attributes: [] });
    } else if (planned.form === 'int8') this.#int8(planned, node);
  }

  #int8(planned: PlannedNode, node: Node): void {
    const { view } = this.#plan;
    const { type, int8Output } = planned;
    const inputs = node.inputs.map((name) => this.#float(name));
    for (const i of type.activations(planned.node, view)) inputs[i] = this.#fake(node.inputs[i] as string);
    if (type.kind === 'product') this.#product(planned.node, inputs);
    const results = node.outputs.map((name) => (name === '' ? '' : resultName(this.#plan, name)));
    const attributes =
      type.kind === 'product' && node.opType === 'Gemm'
        ? node.attributes.filter(({ name }) => name !== 'alpha' && name !== 'beta')
        : node.attributes;
    const rounds = int8Output && !(type.kind === 'pass' && picks(node));
    const outputs = results.map((name) =>
      rounds && this.#final.has(name) ? this.#emitter.free(`${name}_float`) : name,
    );
    this.#emitter.add({ ...node, inputs, outputs, attributes });
    if (!int8Output) return;
    results.forEach((name, i) => {
      if (name === '') return;
      if (!rounds) this.#fakes.set(name, name);
      else this.#quantise(name, outputs[i] as string, this.#final.has(name) ? name : undefined);
    });
  }

  /** A tensor as float nodes take it: rounded where it is made as int8. */
  #float(tensor: string): string {
    const made = this.#plan.nodes.get(this.#plan.view.index.producer.get(tensor) ?? -1);
    return tensor !== '' && made?.int8Output === true ? this.#fake(tensor) : tensor;
  }

  /** A tensor as int8 nodes take it. */
  #fake(tensor: string): string {
    const known = this.#fakes.get(tensor);
    if (known !== undefined) return known;
    const weight = this.#plan.view.weight(tensor);
    return weight ? this.#constant(weight) : this.#quantise(tensor, tensor);
  }

  /** Adds fake quantisation. @param float the tensor before it @param name of the result */
  #quantise(tensor: string, float: string, name = this.#emitter.free(`${tensor}_simulated`)): string {
    const { scale, zeroPoint } = this.#stepsOf(tensor, float);
    this.#fakes.set(tensor, this.#roundTrip(tensor, float, { scale, zeroPoint }, name));
    return name;
  }

  #roundTrip(tensor: string, float: string, { scale, zeroPoint }: Steps, name: string): string {
    const values = this.#emitter.free(`${tensor}_quantized`);
    this.#emitter.node('QuantizeLinear', [float, scale, zeroPoint], values);
    return this.#emitter.node('DequantizeLinear', [values, scale, zeroPoint], name);
  }

  /** Scale and zero point of a tensor: those that share a range share them. */
  #stepsOf(tensor: string, float: string): Steps {
    const source = rangeSource(this.#plan, tensor);
    const known = this.#steps.get(source);
    if (known) return known;
    const steps = this.#range(source, float);
    this.#steps.set(source, steps);
    return steps;
  }

  #range(source: string, float: string): Steps {
    const { activations } = this.#plan;
    const kind = this.#options.ranges;
    const range = rangeOf(this.#plan, this.#given, source) as Range;
    const { scale, zeroPoint } = activationParams(range, activations);
    const bounds = rangeOf(this.#plan, new Map([[source, EVERYTHING]]), source) as Range;
    const common = { source, start: { scale, zeroPoint }, bounds, elements: this.#elements(source) };
    const emitter = this.#emitter;
    const zero = () => emitter.constant(`${source}_zero_point`, denseTensor(activations, [], Uint8Array.of(zeroPoint)));
    if (kind === 'fixed') {
      this.#ranges.push(common);
      return { scale: emitter.scalar(`${source}_scale`, scale), zeroPoint: zero() };
    }
    if (kind === 'learned') {
      const factor = emitter.scalar(`${source}_scale_factor`, 1);
      const start = emitter.scalar(`${source}_scale_start`, scale);
      this.#ranges.push({ ...common, factor });
      return { scale: emitter.node('Mul', [factor, start], emitter.free(`${source}_scale`)), zeroPoint: zero() };
    }
    const moves = activations === 'uint8' && bounds.min < 0;
    const moving = {
      range,
      scale: emitter.scalar(`${source}_scale`, scale),
      ...(moves && { zeroPoint: emitter.scalar(`${source}_zero`, zeroPoint) }),
      least: emitter.node('ReduceMin', [float], emitter.free(`${source}_least`), { keepdims: 0 }),
      greatest: emitter.node('ReduceMax', [float], emitter.free(`${source}_greatest`), { keepdims: 0 }),
    };
    this.#ranges.push({ ...common, moving });
    return { scale: moving.scale, zeroPoint: moving.zeroPoint ? this.#asSteps(source, moving.zeroPoint) : zero() };
  }

  /** A zero point that changes, which is held as a float, in the type of the steps. */
  #asSteps(stem: string, zero: string): string {
    const to = DATA_TYPE[this.#plan.activations];
    return this.#emitter.node('Cast', [zero], this.#emitter.free(`${stem}_zero_point`), { to });
  }

  #elements(tensor: string): number {
    const shape = this.#options.types?.get(tensor)?.shape ?? [];
    return shape.slice(1).reduce<number>((product, dim) => product * this.#size(dim), 1);
  }

  #size(dim: number | string | undefined): number {
    if (typeof dim === 'number') return Math.max(1, dim);
    return (dim !== undefined && this.#options.dims?.[dim]) || 1;
  }

  #constant(weight: Initializer): string {
    const values = weightValues(weight);
    const rounding = new Float32Array(values.length);
    roundConstant(values, this.#plan.activations, rounding);
    const buffer = this.#buffer(weight.name, weight.dims, rounding);
    this.#constants.push({ weight: weight.name, rounding: buffer });
    const simulated = this.#sum(weight.name, buffer, this.#emitter.free(`${weight.name}_simulated`));
    this.#fakes.set(weight.name, simulated);
    return simulated;
  }

  /** Puts a product's weight and bias as they will be, rounded to steps, in place of the float ones. */
  #product(node: Node, inputs: string[]): void {
    const { weight, axis, alpha, beta, bias } = productOf(node, this.#plan.view);
    if (!weight) return;
    const [x] = node.inputs as [string];
    const channels = weight.dims[axis as number] as number;
    const form = {
      ...{ alpha, axis: this.#options.perChannel ? axis : undefined },
      ...(bias && { bias: { beta, channels } }),
    };
    const values = weightValues(weight);
    const into = { weight: new Float32Array(values.length), ...(bias && { bias: new Float32Array(channels) }) };
    const given = bias && { values: weightValues(bias), inputScale: this.#startScale(x) };
    const now = { weight: values, shape: weight.dims, ...(given && { bias: given }) };
    roundProduct(form, now, this.#options.reduceRange, into);
    const made = {
      ...{ weight: weight.name, alpha, axis: form.axis },
      rounding: this.#buffer(weight.name, weight.dims, into.weight),
    };
    inputs[1] = this.#rounded(weight.name, alpha, made.rounding);
    if (bias && form.bias) {
      const rounding = this.#buffer(bias.name, [channels], into.bias as Float32Array);
      inputs[2] = this.#rounded(bias.name, beta, rounding);
      const input = rangeSource(this.#plan, x);
      this.#weights.push({ ...made, bias: { ...form.bias, name: bias.name, rounding, input } });
    } else this.#weights.push(made);
  }

  #startScale(tensor: string): number {
    const source = rangeSource(this.#plan, tensor);
    return activationParams(rangeOf(this.#plan, this.#given, source) as Range, this.#plan.activations).scale;
  }

  #rounded(tensor: string, factor: number, rounding: string): string {
    const name = this.#emitter.free(`${tensor}_simulated`);
    if (factor === 1) return this.#sum(tensor, rounding, name);
    const by = this.#emitter.scalar(`${tensor}_factor`, factor);
    return this.#sum(this.#emitter.node('Mul', [tensor, by], this.#emitter.free(`${tensor}_scaled`)), rounding, name);
  }

  #sum(tensor: string, rounding: string, name: string): string {
    return this.#emitter.node('Add', [tensor, rounding], name);
  }

  /** Rows of an int8 table: rounding those that are picked is as good as rounding all. */
  #table(node: Node): void {
    const [table, indices] = node.inputs as [string, string];
    const values = weightValues(this.#plan.view.weight(table) as Initializer);
    const scale = this.#emitter.scalar(`${table}_scale`, tableScale(values, this.#options.reduceRange));
    this.#tables.push({ weight: table, scale });
    const output = node.outputs[0] as string;
    const rows = this.#emitter.free(`${output}_rows`);
    this.#emitter.add({ ...node, inputs: [table, this.#float(indices)], outputs: [rows] });
    const zeroPoint = this.#emitter.sharedConstant('zero_point', denseTensor('int8', [], new Uint8Array(1)));
    this.#roundTrip(output, rows, { scale, zeroPoint }, output);
  }

  /** Adds what rounding does to a weight. @returns its name */
  #buffer(weight: string, shape: readonly number[], values: Float32Array): string {
    return this.#emitter.constant(`${weight}_rounding`, float32Tensor(shape, values));
  }
}

/** Wider than any range: what is left of it are a tensor's bounds. */
const EVERYTHING: Range = { min: Number.NEGATIVE_INFINITY, max: Number.POSITIVE_INFINITY };

/** Whether what a node gives are elements that it was given, or zeros: rounding them again would change nothing. */
function picks(node: Node): boolean {
  return node.opType !== 'Resize' || (stringAttr(node, 'mode') ?? 'nearest') === 'nearest';
}
