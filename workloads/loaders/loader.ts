import type { WorkloadItem } from '../types.js';

/**
 * A loader: a data file or folder in, items out. One file each in `workloads/loaders/`. What it names is checked when it
 * loads; the items' bytes are read when they are asked for.
 */
export interface Loader<Spec extends { readonly loader: string } = { readonly loader: string }> {
  readonly name: Spec['loader'];
  /** JSON Schema of the spec's properties beside `loader`, and which of them are required. */
  readonly schema: { readonly properties: Readonly<Record<string, object>>; readonly required: readonly string[] };
  /** The properties that name files or folders. */
  readonly paths: readonly string[];
  /** Where a property names a folder: the files in it that are read, relative to it. */
  folderFiles?(spec: Spec, context: LoadContext): Promise<readonly string[]>;
  /**
   * @throws TierbedError `missing` when a file is not there, `invalid` when it is not what the loader reads
   */
  load(spec: Spec, context: LoadContext): Promise<readonly WorkloadItem[]>;
}

export interface LoadContext {
  /** Resolves a path of the workload: environment variables expanded, relative to the folder of the study or the workload file. */
  resolvePath(path: string): string;
  readonly signal?: AbortSignal | undefined;
  /** What the workload's model takes; absent where no model is known. @throws TierbedError as `readModel` */
  modelInputs?(): Promise<readonly ModelInput[]>;
}

/** An input that a model takes in every run. */
export interface ModelInput {
  readonly name: string;
  readonly dtype: string;
}
