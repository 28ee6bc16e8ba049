import { Fifo } from '../shaping/fifo.js';
import type { Shaper } from '../shaping/shaper.js';

/** What travels over links: a piece of the stream, or a step in a connection's life, in order with the pieces. */
export type Parcel =
  | { readonly kind: 'data'; readonly data: Buffer }
  /** The caller's wish to connect (SYN), and that the far end accepted (SYN-ACK). */
  | { readonly kind: 'open' | 'opened' }
  /** No more data this way (FIN). */
  | { readonly kind: 'end' }
  /** The connection broke (RST). */
  | { readonly kind: 'reset' };

/** What a flow may have waiting before its first link until its sender is held back... */
const SENDER_HIGH_BYTES = 1024 * 1024;
/** ...and from where it may go on. Reading ahead keeps the limiter busy although this thread is a little late. */
const SENDER_LOW_BYTES = 512 * 1024;
/** What a flow may have waiting between two links before nothing more of it enters the first one. */
const MIDWAY_BYTES = 16 * 1024 * 1024;

const payloadOf = (parcel: Parcel): number => (parcel.kind === 'data' ? parcel.data.length : 0);

interface Waiting {
  readonly parcel: Parcel;
  readonly sinceMs: number;
}

/** Where one flow waits for one direction of a link. */
class Port {
  readonly flow: Flow;
  readonly hop: number;
  readonly station: Station;
  readonly backlog = new Fifo<Waiting>();
  backlogBytes = 0;
  /** In the station's round. */
  inRound = false;
  held = false;
  /** Capacity that passed while the port was held is lost. */
  notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(flow: Flow, hop: number, station: Station) {
    this.flow = flow;
    this.hop = hop;
    this.station = station;
  }
}

/** One direction of a link, shared by every flow over it: ports take turns, one piece each, when the queue has room. */
export class Station {
  readonly shaper: Shaper<{ readonly port: Port; readonly parcel: Parcel }>;
  readonly #round = new Fifo<Port>();
  #blocked = false;
  /** Capacity that passed while nothing was let in is lost. */
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(shaper: Shaper<{ readonly port: Port; readonly parcel: Parcel }>) {
    this.shaper = shaper;
  }

  /** Lets nothing in any more, or everything again; what is on its way goes on. */
  block(blocked: boolean, atMs: number): void {
    if (this.#blocked && !blocked) this.#notBeforeMs = atMs;
    this.#blocked = blocked;
    this.admit(atMs);
  }

  /** When this station has something to do next. */
  get nextMs(): number {
    return this.#round.length > 0 && !this.#blocked
      ? Math.min(this.shaper.releaseMs, this.shaper.roomMs)
      : this.shaper.releaseMs;
  }

  join(port: Port): void {
    if (port.inRound || port.held || port.backlog.length === 0) return;
    port.inRound = true;
    this.#round.push(port);
  }

  /** Lets ports in, by turns, until the queue is full. */
  admit(atMs: number): void {
    if (this.#blocked) return;
    for (;;) {
      const port = this.#round.at(0);
      if (!port) return;
      const first = port.held ? undefined : port.backlog.at(0);
      if (!first) {
        this.#round.shift();
        port.inRound = false;
        continue;
      }
      const { parcel } = first;
      const bytes = Math.min(payloadOf(parcel), this.shaper.quantumBytes);
      if (!this.shaper.admits(bytes, atMs)) return;
      const arrivalMs = Math.max(first.sinceMs, port.notBeforeMs, this.#notBeforeMs);
      if (parcel.kind === 'data' && bytes < parcel.data.length) {
        port.backlog.replaceFirst({
          parcel: { kind: 'data', data: parcel.data.subarray(bytes) },
          sinceMs: first.sinceMs,
        });
        this.shaper.push({ port, parcel: { kind: 'data', data: parcel.data.subarray(0, bytes) } }, bytes, arrivalMs);
      } else {
        port.backlog.shift();
        this.shaper.push({ port, parcel }, bytes, arrivalMs);
      }
      port.backlogBytes -= bytes;
      this.#round.shift();
      port.inRound = false;
      this.join(port);
      port.flow.moved(port, atMs);
    }
  }
}

/** What a flow tells the sockets at its two ends. */
export interface FlowEnds {
  /** A parcel reached the far end. */
  deliver(parcel: Parcel): void;
  /** The sender is to stop, or may go on. */
  hold(held: boolean): void;
}

/** One direction of one connection: parcels that pass stations in series, in order. */
export class Flow {
  readonly #ports: readonly Port[];
  readonly #ends: FlowEnds;
  #senderHeld = false;
  #receiverBusy = false;
  #broken = false;

  constructor(stations: readonly Station[], ends: FlowEnds) {
    this.#ports = stations.map((station, hop) => new Port(this, hop, station));
    this.#ends = ends;
  }

  /** The sender hands over a parcel. After a reset, which drops what has not left yet, nothing follows. */
  send(parcel: Parcel, atMs: number): void {
    if (this.#broken) return;
    const first = this.#ports[0] as Port;
    if (parcel.kind === 'reset') {
      this.#broken = true;
      first.backlog.clear();
      first.backlogBytes = 0;
      first.held = false;
    }
    this.#arrive(first, parcel, atMs);
    if (!this.#senderHeld && first.backlogBytes > SENDER_HIGH_BYTES) {
      this.#senderHeld = true;
      this.#ends.hold(true);
    }
  }

  /** Whether the receiver is so far behind that nothing more should enter the first link. */
  receiver(busy: boolean, atMs: number): void {
    this.#receiverBusy = busy;
    this.#throttle(atMs);
  }

  /** A parcel came out of `port`'s station. */
  passed(port: Port, parcel: Parcel, atMs: number): void {
    const next = this.#ports[port.hop + 1];
    if (next) {
      this.#arrive(next, parcel, atMs);
      this.#throttle(atMs);
    } else {
      this.#ends.deliver(parcel);
    }
  }

  /** Something of `port`'s backlog went into its station. */
  moved(port: Port, atMs: number): void {
    if (port.hop > 0) {
      this.#throttle(atMs);
    } else if (this.#senderHeld && port.backlogBytes < SENDER_LOW_BYTES) {
      this.#senderHeld = false;
      this.#ends.hold(false);
    }
  }

  #arrive(port: Port, parcel: Parcel, atMs: number): void {
    port.backlog.push({ parcel, sinceMs: atMs });
    port.backlogBytes += payloadOf(parcel);
    port.station.join(port);
    port.station.admit(atMs);
  }

  #throttle(atMs: number): void {
    const first = this.#ports[0] as Port;
    const held =
      !this.#broken && (this.#receiverBusy || this.#ports.some((p) => p.hop > 0 && p.backlogBytes > MIDWAY_BYTES));
    if (held === first.held) return;
    first.held = held;
    if (held) return;
    first.notBeforeMs = atMs;
    first.station.join(first);
    first.station.admit(atMs);
  }
}

/** All stations together; works off what is due in the order of its times. */
export class Fabric {
  readonly #stations: readonly Station[];

  constructor(stations: readonly Station[]) {
    this.#stations = stations;
  }

  /** When there is something to do next, Infinity if nothing is on its way. */
  get nextMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const station of this.#stations) next = Math.min(next, station.nextMs);
    return next;
  }

  /** Does all that is due by `untilMs`. */
  advance(untilMs: number): void {
    for (;;) {
      let station: Station | undefined;
      let atMs = untilMs;
      for (const candidate of this.#stations) {
        const next = candidate.nextMs;
        if (next <= atMs) {
          station = candidate;
          atMs = next;
        }
      }
      if (!station) return;
      const released = station.shaper.shift(atMs);
      if (released) released.item.port.flow.passed(released.item.port, released.item.parcel, atMs);
      station.admit(atMs);
    }
  }
}
