/** A fault that somebody asks for. */
export interface FaultRequest {
  readonly fault: string;
  /** What the fault takes, e.g. `tier` or `link`. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Seconds until it is undone by itself; absent: as the fault's options say, else until it is stopped. */
  readonly forS?: number;
}

/** A fault in force. Times are ISO 8601. */
export interface ActiveFault {
  readonly id: string;
  readonly fault: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly startedAt: string;
  /** When it is undone by itself; absent: when it is stopped. */
  readonly endsAt?: string;
}

/** A fault that can be asked for. */
export interface KnownFault {
  readonly name: string;
  /** One sentence for people. */
  readonly help: string;
  /** JSON Schema of its options. */
  readonly options: object;
}

/** What the service asks of the faults of a testbed. */
export interface FaultBoard {
  /** @throws TierbedError when there is no such fault, it does not take these options, or it cannot be put in force here */
  start(request: FaultRequest): Promise<ActiveFault>;
  /** @throws TierbedError `missing` when there never was a fault of this id */
  stop(id: string): Promise<void>;
  active(): readonly ActiveFault[];
}
