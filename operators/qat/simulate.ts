import { stringAttr } from '../../onnx/attribute.js';
import { captures } from '../../onnx/graph.js';
import type { TensorType } from '../../onnx/infer.js';
import { DATA_TYPE, type Initializer, type Node } from '../../onnx/model.js';
import { denseTensor, float32Tensor } from '../../onnx/tensor.js';
import { activationParams } from '../quantise/graph/activations.js';
import { Emitter, MICROSOFT } from '../quantise/graph/emitter.js';
import type { WeightOptions } from '../quantise/graph/parts.js';
import { type Plan, type PlannedNode, rangeOf, rangeSource, resultName } from '../quantise/graph/plan.js';
import { productOf } from '../quantise/graph/products.js';
import { weightValues } from '../quantise/graph/view.js';
import type { Range } from '../quantise/range.js';
import { roundConstant, roundProduct, tableScale } from './rounding.js';
import { settled } from './settle.js';
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
 * Products are worked out in steps, as int8 kernels do: float32 holds sums of whole numbers exactly up to 2^24, whatever
 * the order, and one multiplication by the scales is all that rounds before the result is quantised. So the fused int8
 * kernels come to the same steps.
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
  /** What looks at a batch's extremes: added where the first tensor of that range is there. */
  watch?: { readonly least: string; readonly greatest: string } | undefined;
}

/** A tensor in int8. */
interface Stored {
  readonly values: string;
  readonly steps: Steps;
}

/** How an int8 tensor is taken as float: as the numbers that it stands for, or as whole steps from its zero point. */
type Unit = 'numbers' | 'steps';

class Simulator {
  readonly #plan: Plan;
  readonly #given: ReadonlyMap<string, Range>;
  readonly #options: SimulateOptions;
  readonly #emitter: Emitter;
  /** Tensors that must be there as float under their own name: outputs, and what subgraphs use. */
  readonly #final: ReadonlySet<string>;
  readonly #stored = new Map<string, Stored>();
  /** Nodes that pass elements on, by what they give: added in the units that are asked for. */
  readonly #passes = new Map<string, Node>();
  /** Int8 tensors as float. */
  readonly #taken: Readonly<Record<Unit, Map<string, string>>> = { numbers: new Map(), steps: new Map() };
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
    const model = settled(this.#emitter.model(), this.#tables, this.#options.reduceRange);
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
    if (type.kind === 'product') {
      this.#product(planned, node);
      return;
    }
    const outputs = node.outputs.map((name) => (name === '' ? '' : resultName(this.#plan, name)));
    if (type.kind === 'pass' && int8Output && picks(node)) {
      for (const name of outputs) if (name !== '') this.#passes.set(name, { ...node, outputs });
      for (const name of outputs) if (this.#final.has(name)) this.#fake(name);
      return;
    }
    if (int8Output && KERNELS.has(node.opType) && !node.inputs.some((name) => view.weight(name))) {
      this.#kernel(node, outputs[0] as string);
      return;
    }
    const places = node.opType === 'GlobalAveragePool' && int8Output ? this.#places(node) : undefined;
    if (places !== undefined) {
      this.#mean(node, outputs[0] as string, places);
      return;
    }
    const inputs = node.inputs.map((name) => this.#float(name));
    for (const i of type.activations(planned.node, view)) inputs[i] = this.#fake(node.inputs[i] as string);
    const made = outputs.map((name) =>
      int8Output && this.#final.has(name) ? this.#emitter.free(`${name}_float`) : name,
    );
    this.#emitter.add({ ...node, inputs, outputs: made });
    if (!int8Output) return;
    outputs.forEach((name, i) => {
      if (name !== '') this.#quantise(name, made[i] as string);
    });
  }

  /** An Add or Mul by the int8 kernel that it will be: nothing else rounds in between as it does. */
  #kernel({ opType, inputs }: Node, output: string): void {
    const emitter = this.#emitter;
    const [a, b] = inputs.map((name) => this.#held(name)) as [Stored, Stored];
    const steps = this.#stepsOf(output);
    if (steps.watch) {
      const numbers = inputs.map((name) => this.#take(name, 'numbers'));
      this.#watch(steps, emitter.node(opType, numbers, emitter.free(`${output}_float`)));
    }
    const values = emitter.free(`${output}_quantized`);
    const all = [a, b].flatMap((each) => [each.values, each.steps.scale, each.steps.zeroPoint]);
    const given = [...all, steps.scale, steps.zeroPoint];
    emitter.node(`QLinear${opType}`, given, values, {}, { domain: MICROSOFT });
    this.#keep(output, { values, steps });
  }

  /** The mean of each channel, as the sum of its steps. */
  #mean({ inputs }: Node, output: string, places: readonly number[]): void {
    const emitter = this.#emitter;
    const x = inputs[0] as string;
    const axes = this.#integers(places.map((_, i) => 2 + i));
    const sum = emitter.node('ReduceSum', [this.#take(x, 'steps'), axes], emitter.free(`${output}_sum`));
    const given = this.#stepsOf(output);
    const count = emitter.scalar(
      `${output}_places`,
      places.reduce((a, b) => a * b, 1),
    );
    const whole = emitter.node('Mul', [given.scale, count], emitter.free(`${output}_whole`));
    const factor = emitter.node('Div', [this.#stepsOf(x).scale, whole], emitter.free(`${output}_factor`));
    const scaled = emitter.node('Mul', [sum, factor], emitter.free(`${output}_scaled`));
    this.#watch(given, scaled, given.scale);
    this.#store(output, scaled, this.#one(), given);
  }

  /** Sizes of the picture that a node takes; undefined where they are not known beforehand. */
  #places({ inputs }: Node): readonly number[] | undefined {
    const sizes = this.#options.types?.get(inputs[0] as string)?.shape.slice(2) ?? [];
    return sizes.length > 0 && sizes.every((size) => typeof size === 'number') ? sizes : undefined;
  }

  /** A tensor in int8. */
  #held(tensor: string): Stored {
    const known = this.#stored.get(tensor);
    if (known) return known;
    return this.#quantise(tensor, this.#passes.has(tensor) ? this.#take(tensor, 'numbers') : tensor);
  }

  /** A tensor as float nodes take it: rounded where it is made as int8. */
  #float(tensor: string): string {
    const made = this.#plan.nodes.get(this.#plan.view.index.producer.get(tensor) ?? -1);
    return tensor !== '' && made?.int8Output === true ? this.#fake(tensor) : tensor;
  }

  /** A tensor as int8 nodes take it that do not work in steps. */
  #fake(tensor: string): string {
    const weight = this.#plan.view.weight(tensor);
    return weight ? this.#constant(weight) : this.#take(tensor, 'numbers');
  }

  #take(tensor: string, unit: Unit): string {
    const known = this.#taken[unit].get(tensor);
    if (known !== undefined) return known;
    const passing = this.#passes.get(tensor);
    if (passing) return this.#pass(tensor, passing, unit);
    const { values, steps } = this.#stored.get(tensor) ?? this.#quantise(tensor, tensor);
    const final = this.#taken.numbers.get(tensor);
    if (unit === 'numbers' && final !== undefined) return final;
    const scale = unit === 'numbers' ? steps.scale : this.#one();
    const name = this.#emitter.free(`${tensor}_${unit === 'numbers' ? 'simulated' : 'steps'}`);
    this.#taken[unit].set(tensor, name);
    return this.#emitter.node('DequantizeLinear', [values, scale, steps.zeroPoint], name);
  }

  #pass(tensor: string, node: Node, unit: Unit): string {
    const [x, ...settings] = node.inputs as [string, ...string[]];
    const inputs = [this.#take(x, unit), ...settings.map((name) => this.#float(name))];
    const outputs = node.outputs.map((name) => {
      if (name === '' || unit === 'numbers') return name;
      return this.#emitter.free(`${name}_steps`);
    });
    node.outputs.forEach((name, i) => {
      if (name !== '') this.#taken[unit].set(name, outputs[i] as string);
    });
    const name = unit === 'numbers' || node.name === '' ? node.name : `${node.name}_steps`;
    this.#emitter.add({ ...node, name, inputs, outputs });
    return this.#taken[unit].get(tensor) as string;
  }

  /** Quantises a tensor. @param float that it is made of, in numbers */
  #quantise(tensor: string, float: string): Stored {
    const steps = this.#stepsOf(tensor);
    this.#watch(steps, float);
    return this.#store(tensor, float, steps.scale, steps);
  }

  /** @param float the tensor in units of `scale` */
  #store(tensor: string, float: string, scale: string, steps: Steps): Stored {
    const values = this.#emitter.free(`${tensor}_quantized`);
    this.#emitter.node('QuantizeLinear', [float, scale, steps.zeroPoint], values);
    // What was there as float keeps its name.
    return float === tensor ? this.#hold(tensor, { values, steps }) : this.#keep(tensor, { values, steps });
  }

  #hold(tensor: string, stored: Stored): Stored {
    this.#stored.set(tensor, stored);
    return stored;
  }

  /** Holds a tensor that int8 comes out as; what must be there as float under its own name is made at once. */
  #keep(tensor: string, stored: Stored): Stored {
    if (this.#final.has(tensor)) {
      const { values, steps } = stored;
      this.#emitter.node('DequantizeLinear', [values, steps.scale, steps.zeroPoint], tensor);
      this.#taken.numbers.set(tensor, tensor);
    }
    return this.#hold(tensor, stored);
  }

  /** Looks at a batch's extremes, where a range follows them. @param unit of the tensor, unless it has numbers */
  #watch(steps: Steps, float: string, unit?: string): void {
    const { watch } = steps;
    if (!watch) return;
    steps.watch = undefined;
    for (const [opType, name] of [
      ['ReduceMin', watch.least],
      ['ReduceMax', watch.greatest],
    ] as const) {
      if (unit === undefined) this.#emitter.node(opType, [float], name, { keepdims: 0 });
      else {
        const found = this.#emitter.node(opType, [float], this.#emitter.free(`${name}_steps`), { keepdims: 0 });
        this.#emitter.node('Mul', [found, unit], name);
      }
    }
  }

  #one(): string {
    return this.#emitter.sharedConstant('one', float32Tensor([], Float32Array.of(1)));
  }

  /** Scale and zero point of a tensor: those that share a range share them. */
  #stepsOf(tensor: string): Steps {
    const source = rangeSource(this.#plan, tensor);
    const known = this.#steps.get(source);
    if (known) return known;
    const steps = this.#range(source);
    this.#steps.set(source, steps);
    return steps;
  }

  #range(source: string): Steps {
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
      least: emitter.free(`${source}_least`),
      greatest: emitter.free(`${source}_greatest`),
    };
    this.#ranges.push({ ...common, moving });
    const { least, greatest } = moving;
    return {
      scale: moving.scale,
      zeroPoint: moving.zeroPoint ? this.#asSteps(source, moving.zeroPoint) : zero(),
      watch: { least, greatest },
    };
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
    const known = this.#taken.numbers.get(weight.name);
    if (known !== undefined) return known;
    const values = weightValues(weight);
    const rounding = new Float32Array(values.length);
    roundConstant(values, this.#plan.activations, rounding);
    const buffer = this.#buffer(weight.name, weight.dims, rounding);
    this.#constants.push({ weight: weight.name, rounding: buffer });
    const simulated = this.#emitter.node('Add', [weight.name, buffer], this.#emitter.free(`${weight.name}_simulated`));
    this.#taken.numbers.set(weight.name, simulated);
    return simulated;
  }

  /** Multiplies in steps, and says what these are worth. */
  #product({ int8Output }: PlannedNode, node: Node): void {
    const emitter = this.#emitter;
    const [a, b] = node.inputs as [string, string];
    const output = resultName(this.#plan, node.outputs[0] as string);
    const steps = this.#take(a, 'steps');
    const scale = this.#stepsOf(a).scale;
    const weighed = this.#weight(node, scale);
    const inputs = weighed ? [steps, ...weighed.inputs] : [steps, this.#take(b, 'steps')];
    const attributes =
      node.opType === 'Gemm'
        ? node.attributes.filter(({ name }) => name !== 'alpha' && name !== 'beta')
        : node.attributes;
    const sum = emitter.free(`${output}_sum`);
    emitter.add({ ...node, inputs, outputs: [sum], attributes });
    const worth =
      weighed?.worth ?? emitter.node('Mul', [scale, this.#stepsOf(b).scale], emitter.free(`${output}_worth`));
    if (!int8Output) {
      emitter.node('Mul', [sum, this.#alongChannels(node, worth, weighed)], output);
      return;
    }
    const given = this.#stepsOf(output);
    const factor = emitter.node('Div', [worth, given.scale], emitter.free(`${output}_factor`));
    const scaled = emitter.node(
      'Mul',
      [sum, this.#alongChannels(node, factor, weighed)],
      emitter.free(`${output}_scaled`),
    );
    this.#watch(given, scaled, given.scale);
    this.#store(output, scaled, this.#one(), given);
  }

  /** One number a channel, as a Conv's output has them. */
  #alongChannels({ opType }: Node, row: string, weighed?: { readonly shape: readonly number[] }): string {
    if (opType !== 'Conv' || !weighed || !this.#options.perChannel) return row;
    const shape = [weighed.shape[0] as number, ...weighed.shape.slice(2).map(() => 1)];
    return this.#reshaped(row, shape);
  }

  #reshaped(tensor: string, shape: readonly number[]): string {
    return this.#emitter.node('Reshape', [tensor, this.#integers(shape)], this.#emitter.free(`${tensor}_shaped`));
  }

  #integers(numbers: readonly number[]): string {
    const data = new Uint8Array(BigInt64Array.from(numbers, BigInt).buffer);
    return this.#emitter.sharedConstant('integers', denseTensor('int64', [numbers.length], data));
  }

  /**
   * A product's weight and bias in steps, and what a step of their sums is worth, by channel.
   *
   * @param inputScale name of the scale of what they are multiplied by
   */
  #weight(node: Node, inputScale: string) {
    const { weight, axis, alpha, beta, bias } = productOf(node, this.#plan.view);
    if (!weight) return undefined;
    const [x] = node.inputs as [string];
    const channels = weight.dims[axis as number] as number;
    const form = {
      ...{ alpha, axis: this.#options.perChannel ? axis : undefined },
      ...(bias && { bias: { beta, channels } }),
    };
    const values = weightValues(weight);
    const into = {
      ...{ weight: new Float32Array(values.length), scales: new Float32Array(form.axis === undefined ? 1 : channels) },
      ...(bias && { bias: new Float32Array(channels) }),
    };
    const given = bias && { values: weightValues(bias), inputScale: this.#startScale(x) };
    const now = { weight: values, shape: weight.dims, ...(given && { bias: given }) };
    roundProduct(form, now, this.#options.reduceRange, into);
    const shape = form.axis === undefined ? [] : [channels];
    const scale = this.#emitter.constant(`${weight.name}_scale`, float32Tensor(shape, into.scales));
    const made = {
      ...{ weight: weight.name, alpha, axis: form.axis, scale },
      rounding: this.#buffer(weight.name, weight.dims, into.weight),
    };
    const along =
      form.axis === undefined
        ? scale
        : this.#reshaped(
            scale,
            weight.dims.map((dim, i) => (i === form.axis ? dim : 1)),
          );
    const inputs = [this.#inSteps(weight.name, alpha, along, made.rounding)];
    const worth = this.#emitter.node('Mul', [inputScale, scale], this.#emitter.free(`${weight.name}_worth`));
    if (bias && form.bias) {
      const rounding = this.#buffer(bias.name, [channels], into.bias as Float32Array);
      inputs.push(this.#inSteps(bias.name, beta, worth, rounding));
      const input = rangeSource(this.#plan, x);
      this.#weights.push({ ...made, bias: { ...form.bias, name: bias.name, rounding, input } });
    } else this.#weights.push(made);
    return { inputs, worth, shape: weight.dims };
  }

  #startScale(tensor: string): number {
    const source = rangeSource(this.#plan, tensor);
    return activationParams(rangeOf(this.#plan, this.#given, source) as Range, this.#plan.activations).scale;
  }

  /** A weight or bias in whole steps of `scale`. */
  #inSteps(tensor: string, factor: number, scale: string, rounding: string): string {
    const emitter = this.#emitter;
    const whole =
      factor === 1
        ? tensor
        : emitter.node(
            'Mul',
            [tensor, emitter.scalar(`${tensor}_factor`, factor)],
            emitter.free(`${tensor}_multiplied`),
          );
    const divided = emitter.node('Div', [whole, scale], emitter.free(`${tensor}_divided`));
    return emitter.node('Add', [divided, rounding], emitter.free(`${tensor}_steps`));
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
    const picked = this.#emitter.free(`${output}_quantized`);
    this.#emitter.node('QuantizeLinear', [rows, scale, zeroPoint], picked);
    this.#emitter.node('DequantizeLinear', [picked, scale, zeroPoint], output);
  }

  /** Adds what rounding does to a weight. @returns its name */
  #buffer(weight: string, shape: readonly number[], values: Float32Array): string {
    return this.#emitter.constant(`${weight}_rounding`, float32Tensor(shape, values));
  }
}

/** Types of nodes whose int8 kernels the simulation runs. */
const KERNELS: ReadonlySet<string> = new Set(['Add', 'Mul']);

/** Wider than any range: what is left of it are a tensor's bounds. */
const EVERYTHING: Range = { min: Number.NEGATIVE_INFINITY, max: Number.POSITIVE_INFINITY };

/** Whether what a node gives are elements that it was given, or zeros: rounding them again would change nothing. */
function picks(node: Node): boolean {
  return node.opType !== 'Resize' || (stringAttr(node, 'mode') ?? 'nearest') === 'nearest';
}
