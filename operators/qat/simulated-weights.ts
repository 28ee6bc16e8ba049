import type { Node } from '../../onnx/model.js';
import { denseTensor, float32Tensor } from '../../onnx/tensor.js';
import type { Emitter } from '../quantise/graph/emitter.js';
import { type Plan, rangeSource } from '../quantise/graph/plan.js';
import { productOf } from '../quantise/graph/products.js';
import { weightValues } from '../quantise/graph/view.js';
import { roundProduct } from './rounding.js';
import type { SimulatedRanges, SimulateOptions } from './simulated-ranges.js';
import type { SimulatedWeight } from './simulation.js';

/** A product's weight and bias, in steps. */
export interface StepWeight {
  /** Names of the weight and, where there is one, the bias. */
  readonly inputs: readonly string[];
  /** What a step of their sums is worth: a scale, or one a channel. */
  readonly worth: string;
  readonly shape: readonly number[];
}

/** The weights of a simulation's products. */
export class SimulatedWeights {
  readonly list: SimulatedWeight[] = [];
  readonly #plan: Plan;
  readonly #ranges: SimulatedRanges;
  readonly #options: SimulateOptions;
  readonly #emitter: Emitter;

  constructor(plan: Plan, ranges: SimulatedRanges, options: SimulateOptions, emitter: Emitter) {
    this.#plan = plan;
    this.#ranges = ranges;
    this.#options = options;
    this.#emitter = emitter;
  }

  /**
   * A product's weight and bias in steps, and what a step of their sums is worth, by channel.
   *
   * @param inputScale name of the scale of what they are multiplied by
   */
  of(node: Node, inputScale: string): StepWeight | undefined {
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
    const given = bias && { values: weightValues(bias), inputScale: this.#ranges.startScale(x) };
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
        : reshaped(
            this.#emitter,
            scale,
            weight.dims.map((dim, i) => (i === form.axis ? dim : 1)),
          );
    const inputs = [this.#inSteps(weight.name, alpha, along, made.rounding)];
    const worth = this.#emitter.node('Mul', [inputScale, scale], this.#emitter.free(`${weight.name}_worth`));
    if (bias && form.bias) {
      const rounding = this.#buffer(bias.name, [channels], into.bias as Float32Array);
      inputs.push(this.#inSteps(bias.name, beta, worth, rounding));
      const input = rangeSource(this.#plan, x);
      this.list.push({ ...made, bias: { ...form.bias, name: bias.name, rounding, input } });
    } else this.list.push(made);
    return { inputs, worth, shape: weight.dims };
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

  /** Adds what rounding does to a weight. @returns its name */
  #buffer(weight: string, shape: readonly number[], values: Float32Array): string {
    return this.#emitter.constant(`${weight}_rounding`, float32Tensor(shape, values));
  }
}

/** Adds a Reshape. @returns its output */
export function reshaped(emitter: Emitter, tensor: string, shape: readonly number[]): string {
  return emitter.node('Reshape', [tensor, integers(emitter, shape)], emitter.free(`${tensor}_shaped`));
}

/** An int64 constant. @returns its name */
export function integers(emitter: Emitter, numbers: readonly number[]): string {
  const data = new Uint8Array(BigInt64Array.from(numbers, BigInt).buffer);
  return emitter.sharedConstant('integers', denseTensor('int64', [numbers.length], data));
}
