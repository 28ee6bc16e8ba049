import type { KernelFacts } from '../../base/kernel.js';
import type { LinkProbe } from './probe/link-probe.js';

/** Shapes of jitter. Each has the mean `delayMs` and the standard deviation `jitterMs`, before delays below 0 become 0. */
export type JitterDistribution = 'normal' | 'uniform' | 'pareto' | 'paretonormal';

/** What a link is from a point in time on; what is not named stays as the settings around the trace have it. */
export interface TraceStep {
  /** From the trace's beginning. */
  readonly atMs: number;
  readonly rateMbps?: number;
  readonly delayMs?: number;
  readonly jitterMs?: number;
  readonly lossPct?: number;
}

/** How a direction changes over time. After `lengthMs` it begins again. */
export type LinkTrace =
  | { readonly kind: 'steps'; readonly steps: readonly TraceStep[]; readonly lengthMs: number }
  /** Mahimahi's format: at each of these times (ms, ascending, repeats allowed) one packet of 1500 IP bytes may pass. */
  | { readonly kind: 'deliveries'; readonly atMs: readonly number[]; readonly lengthMs: number };

/** One direction of a link. */
export interface DirectionSettings {
  /**
   * 10^6 bit/s on the wire, headers included, as `tc` counts: 66 bytes for every 1448 of payload (see `wire.ts`), so at
   * most 95.6 % of it is payload and 10,000 bytes at 10 Mbit/s take 8.37 ms. 0 or undefined: not limited.
   */
  readonly rateMbps?: number;
  /** One-way delay. */
  readonly delayMs: number;
  /** Standard deviation of the delay; order is kept. */
  readonly jitterMs: number;
  /** `normal` when absent. */
  readonly jitterDistribution?: JitterDistribution;
  /** Share of packets that get lost, in per cent; none when absent. */
  readonly lossPct?: number;
  /**
   * Mean number of packets lost in a row (Gilbert's model: at least 1); absent: each packet is lost or not whatever
   * happened to the one before.
   */
  readonly lossBurstPackets?: number;
  /** Bytes on the wire that may wait for the rate limiter before the sender is held back; without a rate nothing waits. */
  readonly queueBytes: number;
  /** Overrides the settings above while it runs; it begins when the settings come into force. */
  readonly trace?: LinkTrace;
}

/** Links join adjacent tiers; `up` leads from the first-named tier to the second. */
export type LinkName = 'mobile-edge' | 'edge-cloud';
export type Direction = 'up' | 'down';

export interface LinkSettings {
  readonly name: LinkName;
  readonly up: DirectionSettings;
  readonly down: DirectionSettings;
  /** Nothing passes, either way; the settings hold again when this is false or absent. */
  readonly blocked?: boolean;
}

/** A way from one node to another over one or more links in series. */
export interface Route {
  /** E.g. `mobile>edge`, `mobile>cloud`. */
  readonly name: string;
  /** The links crossed, in the order in which a request crosses them. */
  readonly via: readonly LinkName[];
  /** host:port that the far end listens on. */
  readonly target: string;
  /** Where a driver that relays is to listen; 127.0.0.1 when absent. */
  readonly listenOn?: string;
}

/** A link driver puts settings in force; what it did is undone by `close`. */
export interface LinkDriver {
  readonly name: string;
  open(links: readonly LinkSettings[], routes: readonly Route[]): Promise<OpenLinks>;
}

/** A process that shapes links in a tier's network namespace, and what it found there. */
export interface LinkShaper extends KernelFacts {
  readonly tier: string;
  readonly driver: string;
  /** Why that driver, and what is in the way of better ones. */
  readonly why: string;
  /** What it could not do. */
  readonly notes: readonly string[];
}

export interface OpenLinks {
  /** What shapes these links, and why it was taken. */
  readonly driver: { readonly name: string; readonly why: string };
  /** host:port to connect to, for each route's name. */
  readonly addresses: ReadonlyMap<string, string>;
  /** Adds a route while the links are open, e.g. to a probe, and gives its address. */
  addRoute(route: Route): Promise<string>;
  removeRoute(name: string): Promise<void>;
  /** Changes one link from now on. */
  set(link: LinkSettings): Promise<void>;
  /** Payload bytes that crossed each link so far. */
  stats(): Promise<ReadonlyMap<LinkName, { readonly upBytes: number; readonly downBytes: number }>>;
  /** Those who shape these links; absent where this process does. */
  shapers?(): Promise<readonly LinkShaper[]>;
  /** What the driver says is in force now. */
  inForce(): Promise<readonly LinkSettings[]>;
  /** Both ends of a measurement over links in series, in the order in which a request crosses them. */
  probe(via: readonly LinkName[]): Promise<LinkProbe>;
  close(): Promise<void>;
}
