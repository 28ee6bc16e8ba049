import type { Workload } from '../types.js';
import type { NetworkOptions } from '../zoo/options.js';

export interface OwnOptions {
  /** Whose numbers draw the data; 1 unless told, which is what the kept networks were trained on. */
  readonly seed?: number | undefined;
  /** Which of its networks is the model; the teacher unless told. */
  readonly network?: OwnNetwork | undefined;
}

/** The networks that are kept of each workload: a large one, and a small one that was trained without it. */
export const OWN_NETWORKS = ['teacher', 'student'] as const;

export type OwnNetwork = (typeof OWN_NETWORKS)[number];

/** A network of the zoo, built to fit a workload. */
export interface FittedNetwork {
  readonly name: string;
  readonly options: NetworkOptions;
  /** How it is trained: options of the operator `train`. */
  readonly training: Readonly<Record<string, unknown>>;
}

/** A workload of the project's own: data that a generator makes, and networks that were trained on it. */
export interface OwnWorkload {
  readonly name: string;
  readonly networks: Readonly<Record<OwnNetwork, FittedNetwork>>;
  /** All but the model. */
  data(seed: number): Omit<Workload, 'modelPath'>;
}
