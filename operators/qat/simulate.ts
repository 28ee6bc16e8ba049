import { stringAttr } from '../../onnx/attribute.js';
import type { Initializer, Node } from '../../onnx/model.js';
import { denseTensor } from '../../onnx/tensor.js';
import { Emitter, MICROSOFT } from '../quantise/graph/emitter.js';
import { type Plan, type PlannedNode, resultName } from '../quantise/graph/plan.js';
import { weightValues } from '../quantise/graph/view.js';
import type { Range } from '../quantise/range.js';
import { tableScale } from './rounding.js';
import { settled } from './settle.js';
import { SimulatedRanges, type SimulateOptions } from './simulated-ranges.js';
import { SimulatedTensors, type Stored } from './simulated-tensors.js';
import { integers, reshaped, SimulatedWeights } from './simulated-weights.js';
import type { SimulatedTable, Simulation } from './simulation.js';

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

class Simulator {
  readonly #plan: Plan;
  readonly #options: SimulateOptions;
  readonly #emitter: Emitter;
  readonly #ranges: SimulatedRanges;
  readonly #tensors: SimulatedTensors;
  readonly #weights: SimulatedWeights;
  readonly #tables: SimulatedTable[] = [];

  constructor(plan: Plan, ranges: ReadonlyMap<string, Range>, options: SimulateOptions) {
    this.#plan = plan;
    this.#options = options;
    this.#emitter = new Emitter(plan.view.model);
    this.#ranges = new SimulatedRanges(plan, ranges, options, this.#emitter);
    this.#tensors = new SimulatedTensors(plan, this.#ranges, this.#emitter);
    this.#weights = new SimulatedWeights(plan, this.#ranges, options, this.#emitter);
  }

  run(): Simulation {
    for (const position of this.#plan.view.index.order) this.#add(position);
    const tables = this.#tables;
    const model = settled(this.#emitter.model(), tables, this.#options.reduceRange);
    const [ranges, weights, constants] = [this.#ranges.list, this.#weights.list, this.#tensors.constants];
    return { model, ranges, weights, tables, constants };
  }

  #add(position: number): void {
    const node = this.#plan.view.node(position);
    const planned = this.#plan.nodes.get(position);
    if (!planned) this.#emitter.add({ ...node, inputs: node.inputs.map((name) => this.#tensors.float(name)) });
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
      this.#tensors.passes({ ...node, outputs });
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
    const inputs = node.inputs.map((name) => this.#tensors.float(name));
    for (const i of type.activations(planned.node, view)) inputs[i] = this.#tensors.fake(node.inputs[i] as string);
    const made = outputs.map((name) =>
      int8Output && this.#tensors.isFinal(name) ? this.#emitter.free(`${name}_float`) : name,
    );
    this.#emitter.add({ ...node, inputs, outputs: made });
    if (!int8Output) return;
    outputs.forEach((name, i) => {
      if (name !== '') this.#tensors.quantise(name, made[i] as string);
    });
  }

  /** An Add or Mul by the int8 kernel that it will be: nothing else rounds in between as it does. */
  #kernel({ opType, inputs }: Node, output: string): void {
    const emitter = this.#emitter;
    const [a, b] = inputs.map((name) => this.#tensors.held(name)) as [Stored, Stored];
    const steps = this.#ranges.of(output);
    if (steps.watch) {
      const numbers = inputs.map((name) => this.#tensors.take(name, 'numbers'));
      this.#ranges.watch(steps, emitter.node(opType, numbers, emitter.free(`${output}_float`)));
    }
    const values = emitter.free(`${output}_quantized`);
    const all = [a, b].flatMap((each) => [each.values, each.steps.scale, each.steps.zeroPoint]);
    const given = [...all, steps.scale, steps.zeroPoint];
    emitter.node(`QLinear${opType}`, given, values, {}, { domain: MICROSOFT });
    this.#tensors.keep(output, { values, steps });
  }

  /** The mean of each channel, as the sum of its steps. */
  #mean({ inputs }: Node, output: string, places: readonly number[]): void {
    const emitter = this.#emitter;
    const x = inputs[0] as string;
    const axes = integers(
      emitter,
      places.map((_, i) => 2 + i),
    );
    const sum = emitter.node('ReduceSum', [this.#tensors.take(x, 'steps'), axes], emitter.free(`${output}_sum`));
    const given = this.#ranges.of(output);
    const count = emitter.scalar(
      `${output}_places`,
      places.reduce((a, b) => a * b, 1),
    );
    const whole = emitter.node('Mul', [given.scale, count], emitter.free(`${output}_whole`));
    const factor = emitter.node('Div', [this.#ranges.of(x).scale, whole], emitter.free(`${output}_factor`));
    const scaled = emitter.node('Mul', [sum, factor], emitter.free(`${output}_scaled`));
    this.#ranges.watch(given, scaled, given.scale);
    this.#tensors.store(output, scaled, this.#tensors.one(), given);
  }

  /** Sizes of the picture that a node takes; undefined where they are not known beforehand. */
  #places({ inputs }: Node): readonly number[] | undefined {
    const sizes = this.#options.types?.get(inputs[0] as string)?.shape.slice(2) ?? [];
    return sizes.length > 0 && sizes.every((size) => typeof size === 'number') ? sizes : undefined;
  }

  /** Multiplies in steps, and says what these are worth. */
  #product({ int8Output }: PlannedNode, node: Node): void {
    const emitter = this.#emitter;
    const [a, b] = node.inputs as [string, string];
    const output = resultName(this.#plan, node.outputs[0] as string);
    const steps = this.#tensors.take(a, 'steps');
    const scale = this.#ranges.of(a).scale;
    const weighed = this.#weights.of(node, scale);
    const inputs = weighed ? [steps, ...weighed.inputs] : [steps, this.#tensors.take(b, 'steps')];
    const attributes =
      node.opType === 'Gemm'
        ? node.attributes.filter(({ name }) => name !== 'alpha' && name !== 'beta')
        : node.attributes;
    const sum = emitter.free(`${output}_sum`);
    emitter.add({ ...node, inputs, outputs: [sum], attributes });
    const worth =
      weighed?.worth ?? emitter.node('Mul', [scale, this.#ranges.of(b).scale], emitter.free(`${output}_worth`));
    if (!int8Output) {
      emitter.node('Mul', [sum, this.#alongChannels(node, worth, weighed)], output);
      return;
    }
    const given = this.#ranges.of(output);
    const factor = emitter.node('Div', [worth, given.scale], emitter.free(`${output}_factor`));
    const scaled = emitter.node(
      'Mul',
      [sum, this.#alongChannels(node, factor, weighed)],
      emitter.free(`${output}_scaled`),
    );
    this.#ranges.watch(given, scaled, given.scale);
    this.#tensors.store(output, scaled, this.#tensors.one(), given);
  }

  /** One number a channel, as a Conv's output has them. */
  #alongChannels({ opType }: Node, row: string, weighed?: { readonly shape: readonly number[] }): string {
    if (opType !== 'Conv' || !weighed || !this.#options.perChannel) return row;
    const shape = [weighed.shape[0] as number, ...weighed.shape.slice(2).map(() => 1)];
    return reshaped(this.#emitter, row, shape);
  }

  /** Rows of an int8 table: rounding those that are picked is as good as rounding all. */
  #table(node: Node): void {
    const [table, indices] = node.inputs as [string, string];
    const values = weightValues(this.#plan.view.weight(table) as Initializer);
    const scale = this.#emitter.scalar(`${table}_scale`, tableScale(values, this.#options.reduceRange));
    this.#tables.push({ weight: table, scale });
    const output = node.outputs[0] as string;
    const rows = this.#emitter.free(`${output}_rows`);
    this.#emitter.add({ ...node, inputs: [table, this.#tensors.float(indices)], outputs: [rows] });
    const zeroPoint = this.#emitter.sharedConstant('zero_point', denseTensor('int8', [], new Uint8Array(1)));
    const picked = this.#emitter.free(`${output}_quantized`);
    this.#emitter.node('QuantizeLinear', [rows, scale, zeroPoint], picked);
    this.#emitter.node('DequantizeLinear', [picked, scale, zeroPoint], output);
  }
}

/** Types of nodes whose int8 kernels the simulation runs. */
const KERNELS: ReadonlySet<string> = new Set(['Add', 'Mul']);

/** Whether what a node gives are elements that it was given, or zeros: rounding them again would change nothing. */
function picks(node: Node): boolean {
  return node.opType !== 'Resize' || (stringAttr(node, 'mode') ?? 'nearest') === 'nearest';
}
