import type { InterfaceStats } from '../interface-driver.js';
import type { DirectionSettings } from '../types.js';

/** A queue that the worker is to shape. */
export interface QueueTask {
  readonly interfaceName: string;
  readonly queue: number;
  /** The netlink socket that holds the queue; the driver closes it. */
  readonly fd: number;
  readonly mtuBytes: number;
  readonly settings: DirectionSettings;
  readonly seed: number;
}

/** What the driver asks of its worker, by name: arguments and result. `queue` names one that was added. */
export interface NfqueueCalls {
  add(task: QueueTask): void;
  set(queue: number, settings: DirectionSettings, blocked: boolean): void;
  stats(queue: number): InterfaceStats;
  /** Nothing of the queue is touched after the answer. */
  remove(queue: number): void;
  end(): void;
}

export interface NfqueueRequest {
  readonly id: number;
  readonly method: keyof NfqueueCalls;
  readonly args: readonly unknown[];
}

export type NfqueueAnswer =
  | { readonly id: number; readonly ok: true; readonly result: unknown }
  | { readonly id: number; readonly ok: false; readonly message: string };

/** What the worker is started with: the eventfd that says that there are requests. */
export interface NfqueueStart {
  readonly wakeFd: number;
}
