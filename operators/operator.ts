import type { Progress } from '../base/progress.js';
import type { Workload, WorkloadPart } from '../workloads/types.js';
import type { Made, Step, Variant } from './variant.js';

export interface OperatorContext {
  /** The workload whose model is worked on: its data, preprocessing and metric. */
  readonly workload: Workload;
  /** Threads for running models; 0 is one for each processor. */
  readonly threads: number;
  /** An empty folder: models that the operator makes are written here. */
  readonly outDir: string;
  /**
   * A folder of this very step, which a process that is killed leaves behind: checkpoints are kept here, and the step goes
   * on from them. Not there before something is written; removed when the step is done.
   */
  readonly workDir: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** A model in one piece, or one in stages. */
export type Pieces = 'whole' | 'stages';

/** Why an operator makes no sense where it stands in a recipe. */
export interface Misfit {
  readonly reason: string;
  /** What to write instead; unless said, the recipe is tried in other orders, and without one of its steps. */
  readonly fix?: string;
}

/** Model in, model out: one file in `operators/`, one line in its table. */
export interface Operator {
  readonly name: string;
  /** What it does, in a few words. */
  readonly summary?: string;
  /** JSON Schema of its options. */
  readonly optionsSchema: object;
  /** Raised when the same input gives another output than before, so that what is cached is not used again. */
  readonly version: number;
  /** What it works on: a model in one piece, unless said otherwise, or one in however many stages. */
  readonly takes?: Pieces;
  /** What it makes with these options: as many pieces as it was given, unless said otherwise. */
  gives?(options: Readonly<Record<string, unknown>>): Pieces;
  /** Why it makes no sense behind these steps, all that stand before it in its recipe; undefined where it does. */
  after?(previous: readonly Step[], options: Readonly<Record<string, unknown>>): Misfit | undefined;
  /** The parts of the data that it reads, with these options: what it makes is not used again when one of them changes. */
  reads?(options: Readonly<Record<string, unknown>>): readonly WorkloadPart[];
  /** Files besides the variant's that it reads, with these options: what it makes is not used again when one changes. */
  files?(options: Readonly<Record<string, unknown>>): readonly string[];
  /** Options, not checked yet, with the paths in them resolved: in a file they are relative to its folder. */
  resolved?(
    options: Readonly<Record<string, unknown>>,
    resolve: (path: string) => string,
  ): Readonly<Record<string, unknown>>;
  /** Checks options against the study's workloads before anything is built. @throws TierbedError `invalid` */
  check?(options: Readonly<Record<string, unknown>>, workloads: readonly string[]): void;
  /**
   * What it makes must follow from the variant's models and steps, the options and the parts it reads: it is kept under
   * a hash of these, and used again for variants of other names. Where it makes several, it adds to the variant's name.
   *
   * @returns one variant or several; none when the recipe does not apply to the context's workload
   * @throws TierbedError `invalid` when the model or the options do not allow it; `cancelled` when the signal says so,
   *   which it looks at between items
   */
  apply(
    variant: Variant,
    options: Readonly<Record<string, unknown>>,
    context: OperatorContext,
  ): Promise<readonly Made[]>;
}
