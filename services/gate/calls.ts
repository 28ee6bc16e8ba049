import type { ContainerLimits } from './limits.js';

/** Signals that the testbed has a use for. */
export const SIGNALS = ['SIGKILL', 'SIGTERM', 'SIGINT'] as const;
export type Signal = (typeof SIGNALS)[number];

/** What the gate says of itself. */
export type OwnCall = { readonly name: 'healthz' | 'readyz' | 'metrics' };

/** What it asks the engine about the machine and the project. */
export type EngineCall = { readonly name: 'ping' | 'version' | 'info' | 'list' };

/** What it has the engine do with one container; `target` is an id or a service's name. */
export type ContainerCall = { readonly target: string } & (
  | { readonly name: 'inspect' | 'pause' | 'unpause' | 'start' }
  | { readonly name: 'stats'; readonly oneShot: boolean }
  | { readonly name: 'restart'; readonly graceS: number | undefined }
  | { readonly name: 'kill'; readonly signal: Signal }
  | { readonly name: 'update'; readonly limits: ContainerLimits }
);

export type GateCall = OwnCall | EngineCall | ContainerCall;
export type CallName = GateCall['name'];
