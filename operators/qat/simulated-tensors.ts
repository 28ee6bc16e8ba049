import type { Initializer, Node } from '../../onnx/model.js';
import { float32Tensor } from '../../onnx/tensor.js';
import type { Emitter } from '../quantise/graph/emitter.js';
import type { Plan } from '../quantise/graph/plan.js';
import { finalTensors } from '../quantise/graph/tensors.js';
import { weightValues } from '../quantise/graph/view.js';
import { roundConstant } from './rounding.js';
import type { SimulatedRanges, Steps } from './simulated-ranges.js';
import type { SimulatedConstant } from './simulation.js';

/** A tensor in int8. */
export interface Stored {
  readonly values: string;
  readonly steps: Steps;
}

/** How an int8 tensor is taken as float: as the numbers that it stands for, or as whole steps from its zero point. */
export type Unit = 'numbers' | 'steps';

/** The int8 tensors of a simulation, and the float ones that are made of them when somebody asks. */
export class SimulatedTensors {
  readonly constants: SimulatedConstant[] = [];
  readonly #plan: Plan;
  readonly #ranges: SimulatedRanges;
  readonly #emitter: Emitter;
  readonly #final: ReadonlySet<string>;
  readonly #stored = new Map<string, Stored>();
  /** Nodes that pass elements on, by what they give: added in the units that are asked for. */
  readonly #passes = new Map<string, Node>();
  /** Int8 tensors as float. */
  readonly #taken: Readonly<Record<Unit, Map<string, string>>> = { numbers: new Map(), steps: new Map() };

  constructor(plan: Plan, ranges: SimulatedRanges, emitter: Emitter) {
    this.#plan = plan;
    this.#ranges = ranges;
    this.#emitter = emitter;
    this.#final = finalTensors(plan.view.model.graph);
  }

  isFinal(tensor: string): boolean {
    return this.#final.has(tensor);
  }

  /** A node that passes elements of its first input on. */
  passes(node: Node): void {
    for (const name of node.outputs) if (name !== '') this.#passes.set(name, node);
    for (const name of node.outputs) if (this.#final.has(name)) this.fake(name);
  }

  /** A tensor in int8. */
  held(tensor: string): Stored {
    const known = this.#stored.get(tensor);
    if (known) return known;
    return this.quantise(tensor, this.#passes.has(tensor) ? this.take(tensor, 'numbers') : tensor);
  }

  /** A tensor as float nodes take it: rounded where it is made as int8. */
  float(tensor: string): string {
    const made = this.#plan.nodes.get(this.#plan.view.index.producer.get(tensor) ?? -1);
    return tensor !== '' && made?.int8Output === true ? this.fake(tensor) : tensor;
  }

  /** A tensor as int8 nodes take it that do not work in steps. */
  fake(tensor: string): string {
    const weight = this.#plan.view.weight(tensor);
    return weight ? this.#constant(weight) : this.take(tensor, 'numbers');
  }

  take(tensor: string, unit: Unit): string {
    const known = this.#taken[unit].get(tensor);
    if (known !== undefined) return known;
    const passing = this.#passes.get(tensor);
    if (passing) return this.#pass(tensor, passing, unit);
    const { values, steps } = this.#stored.get(tensor) ?? this.quantise(tensor, tensor);
    const final = this.#taken.numbers.get(tensor);
    if (unit === 'numbers' && final !== undefined) return final;
    const scale = unit === 'numbers' ? steps.scale : this.one();
    const name = this.#emitter.free(`${tensor}_${unit === 'numbers' ? 'simulated' : 'steps'}`);
    this.#taken[unit].set(tensor, name);
    return this.#emitter.node('DequantizeLinear', [values, scale, steps.zeroPoint], name);
  }

  #pass(tensor: string, node: Node, unit: Unit): string {
    const [x, ...settings] = node.inputs as [string, ...string[]];
    const inputs = [this.take(x, unit), ...settings.map((name) => this.float(name))];
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
  quantise(tensor: string, float: string): Stored {
    const steps = this.#ranges.of(tensor);
    this.#ranges.watch(steps, float);
    return this.store(tensor, float, steps.scale, steps);
  }

  /** @param float the tensor in units of `scale` */
  store(tensor: string, float: string, scale: string, steps: Steps): Stored {
    const values = this.#emitter.free(`${tensor}_quantized`);
    this.#emitter.node('QuantizeLinear', [float, scale, steps.zeroPoint], values);
    // What was there as float keeps its name.
    return float === tensor ? this.#hold(tensor, { values, steps }) : this.keep(tensor, { values, steps });
  }

  #hold(tensor: string, stored: Stored): Stored {
    this.#stored.set(tensor, stored);
    return stored;
  }

  /** Holds a tensor that int8 comes out as; what must be there as float under its own name is made at once. */
  keep(tensor: string, stored: Stored): Stored {
    if (this.#final.has(tensor)) {
      const { values, steps } = stored;
      this.#emitter.node('DequantizeLinear', [values, steps.scale, steps.zeroPoint], tensor);
      this.#taken.numbers.set(tensor, tensor);
    }
    return this.#hold(tensor, stored);
  }

  one(): string {
    return this.#emitter.sharedConstant('one', float32Tensor([], Float32Array.of(1)));
  }

  #constant(weight: Initializer): string {
    const known = this.#taken.numbers.get(weight.name);
    if (known !== undefined) return known;
    const values = weightValues(weight);
    const rounding = new Float32Array(values.length);
    roundConstant(values, this.#plan.activations, rounding);
    const buffer = this.#emitter.constant(`${weight.name}_rounding`, float32Tensor(weight.dims, rounding));
    this.constants.push({ weight: weight.name, rounding: buffer });
    const simulated = this.#emitter.node('Add', [weight.name, buffer], this.#emitter.free(`${weight.name}_simulated`));
    this.#taken.numbers.set(weight.name, simulated);
    return simulated;
  }
}
