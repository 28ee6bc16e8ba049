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
  /** Bytes on the wire that may wait for the rate limiter before the sender is held back; without a rate nothing waits. */
  readonly queueBytes: number;
}

/** Links join adjacent tiers; `up` leads from the first-named tier to the second. */
export type LinkName = 'mobile-edge' | 'edge-cloud';
export type Direction = 'up' | 'down';

export interface LinkSettings {
  readonly name: LinkName;
  readonly up: DirectionSettings;
  readonly down: DirectionSettings;
}

/** A way from one node to another over one or more links in series. */
export interface Route {
  /** E.g. `mobile>edge`, `mobile>cloud`. */
  readonly name: string;
  /** The links crossed, in the order in which a request crosses them. */
  readonly via: readonly LinkName[];
  /** host:port that the far end listens on. */
  readonly target: string;
}

/** A link driver puts settings in force; what it did is undone by `close`. */
export interface LinkDriver {
  readonly name: string;
  open(links: readonly LinkSettings[], routes: readonly Route[]): Promise<OpenLinks>;
}

export interface OpenLinks {
  /** host:port to connect to, for each route's name. */
  readonly addresses: ReadonlyMap<string, string>;
  /** Adds a route while the links are open, e.g. to a probe, and gives its address. */
  addRoute(route: Route): Promise<string>;
  removeRoute(name: string): Promise<void>;
  /** Changes one link from now on. */
  set(link: LinkSettings): Promise<void>;
  /** Payload bytes that crossed each link so far. */
  stats(): Promise<ReadonlyMap<LinkName, { readonly upBytes: number; readonly downBytes: number }>>;
  close(): Promise<void>;
}
