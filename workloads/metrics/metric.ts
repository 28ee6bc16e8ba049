import type { NamedTensor } from '../../onnx/tensor.js';
import type { PostprocessSpec, WorkloadItem } from '../types.js';

/** A metric as a workload chose it: predictions and labels in, a number out. */
export interface Metric {
  readonly name: string;
  /** What it is, for a table's heading. */
  readonly title: string;
  /** `fraction`: 0 to 1, shown as a percentage. `number`: in a unit of the data's own. */
  readonly unit: 'fraction' | 'number';
  readonly better: 'higher' | 'lower';
  /**
   * Whether one prediction is right; null where there is no label, or the metric knows no right and wrong.
   *
   * @throws TierbedError `invalid` when the two cannot be compared
   */
  correct(prediction: string, label: string): boolean | null;
  accumulate(): MetricAccumulator;
}

/** Takes predictions as they come, in memory that does not grow with them. */
export interface MetricAccumulator {
  /** @throws TierbedError as `correct` */
  add(prediction: string, label: string): void;
  /** How many were added. */
  readonly n: number;
  /** The metric of all that was added so far; null when there is none. */
  value(): number | null;
}

export type MetricOptions = Readonly<Record<string, unknown>>;

/** A kind of metric: one file each in `workloads/metrics/`. */
export interface MetricKind {
  readonly name: string;
  /** JSON Schema of its options' properties, and which of them are required; absent: it has none. */
  readonly schema?: { readonly properties: Readonly<Record<string, object>>; readonly required?: readonly string[] };
  /** The options that name models. */
  readonly models?: readonly string[];
  /** The metric with these options. */
  with(options: MetricOptions): Metric;
  /** Why it does not fit what it is to measure; undefined when it does. */
  misfit(measured: Measured, options: MetricOptions): Misfit | undefined;
  /** Where the labels are not the data's own: what gives them; undefined when they are. */
  labels?(options: MetricOptions, context: LabelContext): Promise<LabelSource | undefined>;
}

/** What a metric is to measure. */
export interface Measured {
  readonly postprocess: PostprocessSpec;
  /** Those of all parts. */
  readonly items: readonly Pick<WorkloadItem, 'id' | 'label'>[];
}

/** Why a metric does not fit. */
export interface Misfit {
  /** The workload's key that is to be changed. */
  readonly at: readonly string[];
  readonly message: string;
  readonly fix: string;
}

export interface LabelContext {
  readonly postprocess: PostprocessSpec;
  resolvePath(path: string): string;
}

/** What gives an item its label. */
export interface LabelSource {
  /** What the labels follow from beside the items, where it is worth keeping them; undefined: it is not. */
  readonly identity?: string;
  /** @throws TierbedError `invalid` when the inputs have no label */
  label(inputs: readonly NamedTensor[]): Promise<string>;
  close(): Promise<void>;
}
