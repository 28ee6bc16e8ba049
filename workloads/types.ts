import type { NamedTensor } from '../onnx/tensor.js';

/** One item of a data set, as the device has it: an encoded picture, a text, or ready tensors. */
export interface Item {
  /** Unique within its workload and stable between runs. */
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly label: string;
}

/**
 * How an encoded item becomes a model's inputs. Plain data: it travels to the node that does it as JSON.
 * `kind` names a file in `workloads/preprocess/`.
 */
export type PreprocessSpec =
  | {
      readonly kind: 'image';
      /** Name of the model input, shape [1, 3, size, size], float32, RGB. */
      readonly input: string;
      readonly size: number;
      /** The shorter side is resized to this (bilinear), then the centre is cropped. */
      readonly resizeShorter: number;
      /** value = (pixel / scale - mean[c]) / std[c] with pixel in 0..255 */
      readonly scale: number;
      readonly mean: readonly [number, number, number];
      readonly std: readonly [number, number, number];
    }
  /** Items are already tensors, in Tierbed's item file (see workloads/item-file.ts). */
  | { readonly kind: 'tensors' };

/** How a model's outputs become a prediction; `kind` names a file in `workloads/postprocess/`. */
export type PostprocessSpec =
  | {
      readonly kind: 'argmax';
      readonly output: string;
      readonly classes?: readonly string[];
      /** The prediction is that many classes, the likeliest first; 1 unless said otherwise. */
      readonly top?: number;
    }
  /** The elements of an output, as numbers. */
  | { readonly kind: 'numbers'; readonly output: string }
  /** The sha256 of the output bytes: for models that have no labels. */
  | { readonly kind: 'digest' };

export type Preprocessor = (item: Uint8Array) => Promise<readonly NamedTensor[]>;

/** The parts that a workload's data is in: no item is in two of them. */
export const WORKLOAD_PARTS = ['training', 'calibration', 'tuning', 'evaluation'] as const;

export type WorkloadPart = (typeof WORKLOAD_PARTS)[number];

/** A model with its data set, its preprocessing and its metric. */
export interface Workload {
  readonly name: string;
  /** The whole model's file. */
  readonly modelPath: string;
  /** The evaluation part: what studies run on and accuracies are stated of. */
  readonly items: readonly WorkloadItem[];
  /** For weights. Apart from the others; empty where the data has none. */
  readonly training: readonly WorkloadItem[];
  /** For ranges of activations and for heads that are fitted. Apart from the others; empty where the data has none. */
  readonly calibration: readonly WorkloadItem[];
  /** For choices: thresholds, and what goes back to float. Apart from the others; empty where the data has none. */
  readonly tuning: readonly WorkloadItem[];
  readonly preprocess: PreprocessSpec;
  readonly postprocess: PostprocessSpec;
  /** Name of a metric in `workloads/metrics/`, e.g. `top1`; `metricOf` gives the metric. */
  readonly metric: string;
  /** The metric's own; absent: it has none. */
  readonly metricOptions?: Readonly<Record<string, unknown>>;
}

/** An item whose bytes are read when they are needed, so that a large data set is never in memory at once. */
export interface WorkloadItem {
  readonly id: string;
  readonly label: string;
  read(): Promise<Uint8Array>;
}
