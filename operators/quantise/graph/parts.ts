import type { Initializer } from '../../../onnx/model.js';
import { denseTensor } from '../../../onnx/tensor.js';
import type { Range } from '../range.js';
import { type ActivationParams, activationParams, quantiseValues } from './activations.js';
import type { Emitter } from './emitter.js';
import { type Plan, type PlannedNode, rangeOf, rangeSource } from './plan.js';
import { productOf } from './products.js';
import { weightValues } from './view.js';
import {
  layoutOf,
  magnitudes,
  quantiseBias,
  quantiseWeight,
  REDUCED_STEPS,
  WEIGHT_STEPS,
  weightScales,
} from './weights.js';

export interface WeightOptions {
  /** A scale for each output channel, where the kernel knows them; else one for the whole weight. */
  readonly perChannel: boolean;
  /** Weights of 7 bits: for processors whose int8 products saturate at 16 bits. */
  readonly reduceRange: boolean;
}

/** An int8 tensor: the names of its elements, its scale and its zero point. */
export interface Stored {
  readonly values: string;
  readonly scale: string;
  readonly zeroPoint: string;
  /** Of weights: the axis of their scales. */
  readonly axis?: number;
}

/** A product's weight and bias as int8 and int32. */
export interface StoredProduct {
  readonly weight: Stored;
  readonly bias?: { readonly values: string; readonly scale: string; readonly axis?: number };
}

/** Makes the constants of a quantised model: scales, zero points, weights, biases. What both formats have in common. */
export class Parts {
  readonly #plan: Plan;
  readonly #ranges: ReadonlyMap<string, Range>;
  readonly #options: WeightOptions;
  readonly #emitter: Emitter;
  readonly #params = new Map<string, { scale: string; zeroPoint: string }>();
  readonly #constants = new Map<string, Stored>();
  readonly #weights = new Map<string, Stored>();

  constructor(plan: Plan, ranges: ReadonlyMap<string, Range>, options: WeightOptions, emitter: Emitter) {
    this.#plan = plan;
    this.#ranges = ranges;
    this.#options = options;
    this.#emitter = emitter;
  }

  /** How an activation is stored. */
  paramsOf(tensor: string): ActivationParams {
    const source = rangeSource(this.#plan, tensor);
    return activationParams(rangeOf(this.#plan, this.#ranges, source) as Range, this.#plan.activations);
  }

  /** Names of an activation's scale and zero point: those that share a range share them. */
  scaleOf(tensor: string): { readonly scale: string; readonly zeroPoint: string } {
    const source = rangeSource(this.#plan, tensor);
    const known = this.#params.get(source);
    if (known) return known;
    const params = this.#stored(source, this.paramsOf(source));
    this.#params.set(source, params);
    return params;
  }

  /** A constant that is used as an activation is: one operand of an Add, say. */
  constant(weight: Initializer): Stored {
    const known = this.#constants.get(weight.name);
    if (known) return known;
    const values = weightValues(weight);
    const params = activationParams(rangeOfValues(values), this.#plan.activations);
    const data = quantiseValues(values, params);
    const stored = {
      values: this.#emitter.constant(`${weight.name}_quantized`, denseTensor(params.type, weight.dims, data)),
      ...this.#stored(weight.name, params),
    };
    this.#constants.set(weight.name, stored);
    return stored;
  }

  /** A table of rows, with one scale. */
  table(weight: Initializer): Stored {
    return this.#weight(weight, 1, undefined);
  }

  /** The weight and bias of a product; undefined when it multiplies two activations. */
  product({ node }: PlannedNode): StoredProduct | undefined {
    const { weight, axis, alpha, beta, bias } = productOf(node, this.#plan.view);
    if (!weight) return undefined;
    const channelAxis = this.#options.perChannel ? axis : undefined;
    if (!bias) return { weight: this.#weight(weight, alpha, channelAxis) };
    const inputScale = this.paramsOf(node.inputs[0] as string).scale;
    const channels = weight.dims[axis as number] as number;
    const given = weightValues(bias);
    const values = Float32Array.from({ length: channels }, (_, i) => beta * (given[i % given.length] as number));
    const stored = this.#weight(weight, alpha, channelAxis, { values, inputScale });
    const steps = quantiseBias(values, inputScale, stored.scales);
    const stem = `${bias.name}_quantized`;
    return {
      weight: stored,
      bias: {
        values: this.#emitter.constant(stem, denseTensor('int32', [channels], bytesOf(steps.values))),
        scale: this.#scales(`${bias.name}_scale`, steps.scales),
        ...(steps.scales.length > 1 && { axis: 0 }),
      },
    };
  }

  /** Zero of a weight's type: one for each scale, as some kernels want. */
  #zeros(count: number, axis: number | undefined): string {
    const shape = axis === undefined ? [] : [count];
    return this.#emitter.sharedConstant('zero_points', denseTensor('int8', shape, new Uint8Array(count)));
  }

  #weight(
    weight: Initializer,
    alpha: number,
    axis: number | undefined,
    bias?: { readonly values: Float32Array; readonly inputScale: number },
  ): Stored & { readonly scales: Float32Array } {
    const given = weightValues(weight);
    const values = alpha === 1 ? given : given.map((w) => w * alpha);
    const steps = this.#options.reduceRange ? REDUCED_STEPS : WEIGHT_STEPS;
    const scales = weightScales(magnitudes(values, layoutOf(weight.dims, axis)), steps, bias);
    const key = `${weight.name} ${alpha} ${axis} ${Buffer.from(bytesOf(scales)).toString('base64')}`;
    let stored = this.#weights.get(key);
    if (!stored) {
      const quantised = quantiseWeight(values, weight.dims, axis, scales);
      stored = {
        values: this.#emitter.constant(
          `${weight.name}_quantized`,
          denseTensor('int8', weight.dims, bytesOf(quantised.values)),
        ),
        scale: this.#scales(`${weight.name}_scale`, scales, axis),
        zeroPoint: this.#zeros(scales.length, axis),
        ...(axis !== undefined && { axis }),
      };
      this.#weights.set(key, stored);
    }
    return { ...stored, scales };
  }

  #scales(stem: string, scales: Float32Array, axis = scales.length > 1 ? 0 : undefined): string {
    const shape = axis === undefined ? [] : [scales.length];
    return this.#emitter.constant(stem, denseTensor('float32', shape, bytesOf(scales)));
  }

  #stored(stem: string, { type, scale, zeroPoint }: ActivationParams): { scale: string; zeroPoint: string } {
    const zero = denseTensor(type, [], Uint8Array.of(zeroPoint));
    return {
      scale: this.#emitter.scalar(`${stem}_scale`, scale),
      zeroPoint: this.#emitter.constant(`${stem}_zero_point`, zero),
    };
  }
}

/** The range of numbers at hand. */
function rangeOfValues(values: Float32Array): Range {
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return values.length === 0 ? { min: 0, max: 0 } : { min, max };
}

function bytesOf(values: Int8Array | Int32Array | Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
