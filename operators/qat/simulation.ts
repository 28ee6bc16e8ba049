import type { Model } from '../../onnx/model.js';
import type { Range } from '../quantise/range.js';

/**
 * How the ranges of activations come about while the weights are trained:
 * - `moving`: averages of each batch's least and greatest value (Jacob et al., CVPR 2018, section 3.1)
 * - `learned`: their widths are trained like weights (LSQ: Esser et al., ICLR 2020)
 * - `fixed`: as calibrated
 */
export type RangeKind = 'moving' | 'learned' | 'fixed';

/** What training knows of an activation's range. Names are of tensors of the simulation. */
export interface SimulatedRange {
  /** The tensor of the float model whose range it is. */
  readonly source: string;
  /** As it was calibrated. */
  readonly start: { readonly scale: number; readonly zeroPoint: number };
  /** What the range cannot go beyond: a Relu or Clip cuts off there. */
  readonly bounds: Range;
  /** Elements of the tensor for one item, where its shape is known; else 1. */
  readonly elements: number;
  /** Scale and zero point that follow the batches. A zero point that cannot change has no buffer. */
  readonly moving?: {
    readonly range: Range;
    readonly scale: string;
    readonly zeroPoint?: string;
    /** Outputs: the least and the greatest value of a batch. */
    readonly least: string;
    readonly greatest: string;
  };
  /** A trained weight of one element: the scale as a multiple of that at the start. */
  readonly factor?: string;
}

/**
 * A weight of a product. In the simulation stands the weight in steps of its scale, with its rounding added: the difference
 * between the whole step that it will be and what it is, which is worked out behind each step of training. So it is rounded
 * exactly as it will be, its gradient passes straight through, and the graph has a division and an addition to do.
 */
export interface SimulatedWeight {
  readonly weight: string;
  /** What it is multiplied by before it is quantised. */
  readonly alpha: number;
  /** Of the scales by channel; undefined where one scale is for the whole weight. */
  readonly axis: number | undefined;
  /** Buffer of one element a channel, or of one alone. */
  readonly scale: string;
  /** Buffer of the weight's shape, in steps. */
  readonly rounding: string;
  readonly bias?: {
    readonly name: string;
    readonly beta: number;
    readonly channels: number;
    /** Buffer of one element a channel, in steps. */
    readonly rounding: string;
    /** Whose scale the bias's is made of: source of a range. */
    readonly input: string;
  };
}

/** A table of rows, rounded as they are picked. */
export interface SimulatedTable {
  readonly weight: string;
  /** Buffer. */
  readonly scale: string;
}

/** A constant that is used as an activation is. */
export interface SimulatedConstant {
  readonly weight: string;
  /** Buffer of its shape. */
  readonly rounding: string;
}

/**
 * A float model that computes what its quantised model will: fake quantisation on the tensors that are int8 there, and on
 * no other.
 */
export interface Simulation {
  /** Inputs, outputs and weights have the float model's names. */
  readonly model: Model;
  readonly ranges: readonly SimulatedRange[];
  readonly weights: readonly SimulatedWeight[];
  readonly tables: readonly SimulatedTable[];
  readonly constants: readonly SimulatedConstant[];
}

/** Initializers of a simulation that follow what is trained. */
export function buffersOf({ ranges, weights, tables, constants }: Simulation): string[] {
  return [
    ...ranges.flatMap(({ moving }) => (moving ? [moving.scale, ...(moving.zeroPoint ? [moving.zeroPoint] : [])] : [])),
    ...weights.flatMap(({ scale, rounding, bias }) => [scale, rounding, ...(bias ? [bias.rounding] : [])]),
    ...tables.map(({ scale }) => scale),
    ...constants.map(({ rounding }) => rounding),
  ];
}

/** Trained weights of a simulation that the float model does not have. */
export function factorsOf({ ranges }: Simulation): string[] {
  return ranges.flatMap(({ factor }) => factor ?? []);
}
