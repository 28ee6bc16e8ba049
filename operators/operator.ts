import type { Progress } from '../base/progress.js';
import type { Workload, WorkloadPart } from '../workloads/types.js';
import type { Made, Variant } from './variant.js';

export interface OperatorContext {
  /** The workload whose model is worked on: its data, preprocessing and metric. */
  readonly workload: Workload;
  /** Threads for running models; 0 is one for each processor. */
  readonly threads: number;
  /** An empty folder: models that the operator makes are written here. */
  readonly outDir: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** Model in, model out: one file in `operators/`, one line in its table. */
export interface Operator {
  readonly name: string;
  /** JSON Schema of its options. */
  readonly optionsSchema: object;
  /** Raised when the same input gives another output than before, so that what is cached is not used again. */
  readonly version: number;
  /** The parts of the data that it reads, with these options: what it makes is not used again when one of them changes. */
  reads?(options: Readonly<Record<string, unknown>>): readonly WorkloadPart[];
  /** Checks options against the study's workloads before anything is built. @throws TierbedError `invalid` */
  check?(options: Readonly<Record<string, unknown>>, workloads: readonly string[]): void;
  /**
   * @returns one variant or several; none when the recipe does not apply to the context's workload
   * @throws TierbedError `invalid` when the model or the options do not allow it
   */
  apply(
    variant: Variant,
    options: Readonly<Record<string, unknown>>,
    context: OperatorContext,
  ): Promise<readonly Made[]>;
}
