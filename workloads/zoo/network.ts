import { GraphBuilder, type Value, type WeightSource } from '../../onnx/build.js';
import type { Model } from '../../onnx/model.js';

/** A parameter or buffer of a network, as PyTorch's `state_dict` has it. */
export interface Parameter {
  /** Its name in the `state_dict`, and the name of its initializer. */
  readonly name: string;
  /** Its shape in the `state_dict`. */
  readonly shape: readonly number[];
  /** Random weights are uniform over [low, high). */
  readonly range: readonly [low: number, high: number];
  /** What it is before training. */
  readonly start: Start;
  /** A buffer (running mean or variance): an initializer in ONNX, not counted by PyTorch's `parameters()`. */
  readonly buffer: boolean;
}

/** A parameter before training: one number everywhere, or drawn from a distribution. */
export type Start =
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'uniform'; readonly bound: number }
  /** With `truncated`, what is further than two deviations from 0 is drawn again. */
  | { readonly kind: 'normal'; readonly deviation: number; readonly truncated?: boolean };

/** Where the elements of each parameter come from: random numbers or a file. Asked for a source, not yet for elements. */
export type Weights = (parameter: Parameter) => WeightSource;

/** A model and the parameters it was built from. */
export interface Network {
  readonly model: Model;
  readonly parameters: readonly Parameter[];
}

export interface WeightOptions {
  readonly range: readonly [low: number, high: number];
  readonly start: Start;
  readonly buffer?: boolean;
  /** The initializer is the transpose: `[out, in]` of torch.nn.Linear becomes `[in, out]` of MatMul. */
  readonly transposed?: boolean;
}

/** A graph builder that knows PyTorch's parameters. */
export class NetworkBuilder {
  readonly graph: GraphBuilder;
  readonly #weights: Weights;
  readonly #parameters: Parameter[] = [];

  constructor(name: string, weights: Weights) {
    this.graph = new GraphBuilder({ name });
    this.#weights = weights;
  }

  /** Adds a parameter. @param shape the shape that it has in the `state_dict` */
  weight(name: string, shape: readonly number[], options: WeightOptions): Value {
    const { range, start, buffer = false } = options;
    const parameter: Parameter = { name, shape, range, start, buffer };
    this.#parameters.push(parameter);
    const source = this.#weights(parameter);
    if (!options.transposed) return this.graph.weight(name, shape, source);
    const [rows, columns] = shape as [number, number];
    return this.graph.weight(name, [columns, rows], () => transpose(source(), rows, columns));
  }

  build(): Network {
    return { model: this.graph.build(), parameters: this.#parameters };
  }
}

/** The parameters that PyTorch's `parameters()` counts. */
export function parameterCount(parameters: readonly Parameter[]): number {
  return elements(parameters.filter((parameter) => !parameter.buffer));
}

/** The elements of running statistics and other buffers. */
export function bufferCount(parameters: readonly Parameter[]): number {
  return elements(parameters.filter((parameter) => parameter.buffer));
}

function elements(parameters: readonly Parameter[]): number {
  return parameters.reduce((sum, { shape }) => sum + shape.reduce((product, d) => product * d, 1), 0);
}

/**
 * The range of uniform weights that keep the variance of activations behind a ReLU (He et al., ICCV 2015,
 * arXiv:1502.01852): variance 2 / fanIn.
 */
export function heRange(fanIn: number): readonly [number, number] {
  const bound = Math.sqrt(6 / fanIn);
  return [-bound, bound];
}

/** He et al.'s normal distribution for a convolution before a ReLU, by what it feeds: torchvision's choice for ResNets. */
export function heFanOut(fanOut: number): Start {
  return { kind: 'normal', deviation: Math.sqrt(2 / fanOut) };
}

/** How torch.nn.Linear begins, weight and bias. */
export function linearStart(fanIn: number): Start {
  return { kind: 'uniform', bound: 1 / Math.sqrt(fanIn) };
}

export const ZEROS: Start = { kind: 'constant', value: 0 };
export const ONES: Start = { kind: 'constant', value: 1 };

/** The range of uniform weights that keep the variance of a linear layer's input (LeCun et al., 1998): 1 / fanIn. */
export function leCunRange(fanIn: number): readonly [number, number] {
  const bound = Math.sqrt(3 / fanIn);
  return [-bound, bound];
}

/** The transpose of a row-major matrix, in square tiles so that both sides stay in the cache. */
function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const tile = 32;
  const result = new Float32Array(values.length);
  for (let r0 = 0; r0 < rows; r0 += tile) {
    for (let c0 = 0; c0 < columns; c0 += tile) {
      const rEnd = Math.min(r0 + tile, rows);
      const cEnd = Math.min(c0 + tile, columns);
      for (let r = r0; r < rEnd; r++) {
        for (let c = c0; c < cEnd; c++) result[c * rows + r] = values[r * columns + c] as number;
      }
    }
  }
  return result;
}
