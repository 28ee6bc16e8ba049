import type { Progress } from '../../base/progress.js';
import type { Loss } from '../../onnx/grad/training-graph.js';
import type { Model } from '../../onnx/model.js';
import type { DenseTensor, NamedTensor } from '../../onnx/tensor.js';
import type { Workload } from '../../workloads/types.js';

/** One item of a batch. */
export interface BatchItem {
  readonly id: string;
  readonly label: string;
}

/** Items that one step works on. */
export interface Batch {
  readonly items: readonly BatchItem[];
  /** The model's inputs, augmented, items along the first axis: the next step writes over them. */
  readonly inputs: readonly NamedTensor[];
  /** From 0. */
  readonly step: number;
  readonly epoch: number;
}

/** What is minimised. */
export interface Objective {
  readonly name: string;
  /** What its loss follows from besides its name and the labels, such as a teacher: a checkpoint of another is refused. */
  readonly identity?: string;
  /** Appends the loss to the model; inputs that it declares are given by `feeds`. */
  readonly loss: Loss;
  /** The loss's own inputs for a batch: targets, what a teacher answers. */
  feeds(batch: Batch): Promise<readonly NamedTensor[]>;
}

/** What a plugin sees of a step, as arrays that it may change in place. */
export interface StepView {
  /** From 0. */
  readonly step: number;
  readonly steps: number;
  readonly epoch: number;
  readonly learningRate: number;
  readonly loss: number;
  /** By name: trained weights, and buffers. */
  readonly weights: ReadonlyMap<string, Float32Array>;
  /** By weight; dense, tables included. */
  readonly gradients: ReadonlyMap<string, Float32Array>;
  /** The tensors that plugins asked for. */
  readonly outputs: ReadonlyMap<string, DenseTensor>;
}

/** Something that takes part in training: masks of pruning, ranges of quantisation. */
export interface TrainPlugin {
  readonly name: string;
  /** What it does follows from this: a checkpoint of another is refused. */
  readonly identity?: string;
  /** Tensors of the model that it looks at in each step. */
  readonly outputs?: readonly string[];
  /** Initializers that it changes from step to step, and that have no gradient. */
  readonly buffers?: readonly string[];
  /** What it must find again when training resumes from a checkpoint, beside weights and buffers; changed in place. */
  readonly state?: Readonly<Record<string, Float32Array>>;
  /** Whether weights behind this many of all steps are what is wanted: with `patience`, no epoch before counts as best. */
  settled?(step: number, steps: number): boolean;
  /** Behind the backward pass, before weights change. */
  beforeUpdate?(step: StepView): void;
  /** When weights have changed. */
  afterUpdate?(step: StepView): void;
}

export interface TrainRequest {
  readonly model: Model;
  /** Trains on its training part; looks at its tuning part, never at the evaluation part. */
  readonly workload: Workload;
  readonly objective: Objective;
  readonly settings: TrainSettings;
  readonly plugins?: readonly TrainPlugin[];
  /** Weights to train; those of `trainableWeights` unless given. */
  readonly weights?: readonly string[];
  readonly batchNorm: 'batch' | 'frozen';
  readonly threads: number;
  /** Where checkpoints and the curve are kept; a run that was cut off goes on from there. */
  readonly folder: string;
  /** Least time between checkpoints; 20 unless said otherwise. 0: behind every step. */
  readonly checkpointSeconds?: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

export interface TrainResult {
  readonly model: Model;
  readonly curve: readonly CurvePoint[];
  /** For manifests. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** A point of the learning curve: one for each epoch. */
export interface CurvePoint {
  /** From 1. */
  readonly epoch: number;
  readonly steps: number;
  readonly learningRate: number;
  /** Mean over the epoch. */
  readonly loss: number;
  /** The workload's metric on the tuning part; null where the data has none. */
  readonly tuning: number | null;
  readonly seconds: number;
}

/** How to train, as a recipe has it; each has a default. */
export interface TrainSettings {
  readonly epochs?: number;
  readonly batch?: number;
  readonly optimizer?: OptimizerSpec;
  readonly schedule?: ScheduleSpec;
  /** 0 to 1. */
  readonly labelSmoothing?: number;
  /** Gradients are scaled down to this norm over all weights. */
  readonly clipNorm?: number;
  readonly augment?: readonly AugmentSpec[];
  /** Stops when the tuning part's metric has not risen for that many epochs, and keeps the best. */
  readonly patience?: number;
  readonly seed?: number;
  /** Names of weights (`*` stands for any text) that stay as they are. */
  readonly freeze?: readonly string[];
  /** Numbers for symbols of the inputs' shapes, such as the length of texts. */
  readonly dims?: Readonly<Record<string, number>>;
}

export type OptimizerSpec = {
  readonly rate?: number;
  readonly weightDecay?: number;
  /** Names of weights that do not decay; biases and normalisations unless said otherwise. */
  readonly noDecay?: readonly string[];
} & (
  | { readonly kind: 'sgd'; readonly momentum?: number; readonly nesterov?: boolean }
  | { readonly kind: 'adam' | 'adamw'; readonly betas?: readonly [number, number]; readonly epsilon?: number }
);

export type ScheduleSpec = { readonly warmupSteps?: number } & (
  | { readonly kind: 'constant' }
  | { readonly kind: 'cosine'; readonly floor?: number }
  | { readonly kind: 'step'; readonly every: number; readonly factor: number }
);

export type AugmentSpec =
  | { readonly kind: 'crop'; readonly pad: number }
  | { readonly kind: 'flip' }
  | { readonly kind: 'shift'; readonly pixels: number }
  | { readonly kind: 'noise'; readonly deviation: number }
  | {
      readonly kind: 'token-dropout';
      readonly share: number;
      /** What takes a dropped token's place: the number of [UNK] or [MASK]. */
      readonly token: number;
      /** Tokens that are never dropped, such as [CLS] and [SEP]. */
      readonly keep?: readonly number[];
      /** The input that has the tokens; `input_ids` unless said otherwise. */
      readonly input?: string;
    };
