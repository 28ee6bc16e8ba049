import type { Progress } from '../../base/progress.js';
import type { Workload } from '../types.js';

export interface OwnOptions {
  /** Whose numbers draw the data and the model; each workload has its default. */
  readonly seed?: number | undefined;
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A workload of the project's own, made on first use and kept in the cache. */
export interface OwnWorkload {
  readonly name: string;
  load(options: OwnOptions): Promise<Workload>;
}
