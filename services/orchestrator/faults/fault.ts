import type { LinkLayers } from '../events/link-layers.js';
import type { Testbed } from '../runtimes/runtime.js';
import type { TierName } from '../tiers/tiers.js';

/** What a fault can get at. */
export interface FaultContext {
  readonly testbed: Testbed;
  readonly links: LinkLayers;
  /** Makes the deployments of a node that has lost them again. */
  redeploy(tier: TierName): Promise<void>;
  /** What is random in a fault is drawn by this. */
  readonly seed: number;
}

/** Options as a user gives them, checked against the fault's schema. */
export type FaultOptions = Readonly<Record<string, unknown>>;

/** Something that goes wrong on purpose, and is undone: one file in `faults/`, one line in its table. */
export interface Fault {
  readonly name: string;
  /** One sentence for people. */
  readonly help: string;
  /** JSON Schema of the options. */
  readonly options: object;
  /** What it acts on, for the results: `edge`, `mobile-edge up`. */
  target(options: FaultOptions): string;
  /**
   * What it needs for itself, as paths: `tier/edge/cpu`. Another fault that needs the same, or a path above or below it, is
   * refused while this one is in force.
   */
  claims(options: FaultOptions): readonly string[];
  /** How long it lasts by its own options, in seconds. */
  durationS?(options: FaultOptions): number | undefined;
  /** Whether this testbed can do it. @throws TierbedError `refused` with the fix; nothing has happened then */
  check?(context: FaultContext, options: FaultOptions): Promise<void>;
  /** Puts it in force, or leaves nothing; what is given back undoes it. */
  start(context: FaultContext, options: FaultOptions): Promise<() => Promise<void>>;
}

/** Schemas that faults share. */
export const tierOption = { enum: ['mobile', 'edge', 'cloud'] };
export const linkOption = { enum: ['mobile-edge', 'edge-cloud'] };
export const directionOption = { enum: ['up', 'down', 'both'] };

/** JSON Schema of an object with these options. */
export function optionsSchema(properties: Readonly<Record<string, object>>, required: readonly string[]): object {
  return { type: 'object', properties, required, additionalProperties: false };
}

/** The tier that a fault is to act on. */
export function tierOf(options: FaultOptions): TierName {
  return options.tier as TierName;
}
