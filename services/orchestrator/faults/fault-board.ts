import type { LinkName } from '../../link/types.js';
import type { TierName } from '../tiers.js';

/** A fault that somebody asks for. */
export interface FaultSpec {
  /** Name of a fault in `services/orchestrator/faults/`. */
  readonly fault: string;
  /** Where: most faults want a tier or a link. */
  readonly tier?: TierName;
  readonly link?: LinkName;
  /** Seconds until it is undone by itself; absent: it stays until it is stopped. */
  readonly forS?: number;
  /** What else this fault takes, by its own names. */
  readonly [option: string]: unknown;
}

/** A fault in force. */
export interface ActiveFault {
  readonly id: string;
  readonly spec: FaultSpec;
  /** ISO 8601. */
  readonly startedAt: string;
  /** When it is undone by itself; absent: when it is stopped. */
  readonly endsAt?: string;
}

/** A fault that can be asked for. */
export interface KnownFault {
  readonly name: string;
  /** One line for people. */
  readonly about: string;
  /** JSON Schema of the spec's properties beside `fault` and `forS`. */
  readonly options: { readonly properties: Readonly<Record<string, object>>; readonly required?: readonly string[] };
}

/** Puts faults in force on one testbed and undoes them. */
export interface FaultBoard {
  known(): readonly KnownFault[];
  /** @throws TierbedError `invalid` when there is no such fault or it does not take these options, `refused` when it cannot be put in force here */
  start(spec: FaultSpec): Promise<ActiveFault>;
  /** @throws TierbedError `missing` when no fault of this id is in force */
  stop(id: string): Promise<void>;
  /** Undoes all of them. */
  stopAll(): Promise<void>;
  active(): readonly ActiveFault[];
}
