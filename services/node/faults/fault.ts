import type { Socket } from 'node:net';
import { TierbedError } from '../../../base/errors.js';
import type { Store } from '../store.js';

/** What a fault of a node can get at. */
export interface NodeFaultContext {
  readonly store: Store;
  /** The connections of the data plane that are open, to this node and from it. */
  readonly dataSockets: ReadonlySet<Socket>;
}

export type FaultOptions = Readonly<Record<string, unknown>>;

/** Something that a node can do wrong when it is told to: one file here, one line in the table. */
export interface NodeFault {
  readonly name: string;
  /**
   * Puts it in force; what is given back takes it away again.
   *
   * @throws TierbedError `invalid` for options that make no sense
   */
  start(options: FaultOptions, context: NodeFaultContext): () => void;
}

/** A number among options. @throws TierbedError `invalid` when it is none, or not in its range */
export function numberOf(options: FaultOptions, key: string, low: number, high: number, otherwise?: number): number {
  const value = options[key] ?? otherwise;
  if (typeof value === 'number' && value >= low && value <= high) return value;
  throw new TierbedError('invalid', `${key} is ${JSON.stringify(value)}: not a number from ${low} to ${high}`);
}
