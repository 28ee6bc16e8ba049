import type { Direction } from '../types.js';

/** `count` messages of `upBytes`, each answered by one of `downBytes` as soon as it is complete. */
export interface ExchangeTask {
  readonly upBytes: number;
  readonly downBytes: number;
  readonly count: number;
  /** Between messages; 0: each waits for the answer to the one before. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** One message and its answer. One-way times hold because both ends read the same clock. */
export interface Exchange {
  readonly upMs: number;
  readonly downMs: number;
  readonly roundTripMs: number;
  /** Bytes that came in the later half of the message, and how long they took: its rate without its start. */
  readonly upTail: { readonly ms: number; readonly bytes: number };
  readonly downTail: { readonly ms: number; readonly bytes: number };
}

/** Small datagrams, each sent back at once by the far end. */
export interface EchoTask {
  /** On the wire, headers included: `MIN_DATAGRAM_BYTES` to `PACKET_BYTES`. */
  readonly wireBytes: number;
  readonly count: number;
  /** Between one and the next, in ms. */
  readonly intervalMs: number;
  /** How long the last one may be on its way. */
  readonly settleMs: number;
  /** Never more in a row than this: a sender that is late stays late. 0: it catches up. */
  readonly maxBurst: number;
}

/** Datagrams of one size one after the other, one way. */
export interface DatagramTask extends EchoTask {
  readonly direction: Direction;
}

/** A datagram that came, by its place in the order in which they were sent, from 0. */
export interface Arrival {
  readonly sequence: number;
  readonly sentMs: number;
  readonly arrivedMs: number;
}

/** Both ends of a measurement over one link or several in series. */
export interface LinkProbe {
  /**
   * Messages over one TCP connection.
   *
   * @throws TierbedError `unavailable` when the connection breaks or the answers do not come in time
   */
  exchange(task: ExchangeTask): Promise<readonly Exchange[]>;
  /** Packets of the probe's own; absent where a stream is relayed, which has none. */
  readonly packets: PacketProbe | undefined;
  close(): Promise<void>;
}

/** Packets of the probe's own. */
export interface PacketProbe {
  /** The ones that came, in the order in which they came. */
  datagrams(task: DatagramTask): Promise<readonly Arrival[]>;
  /** The ones that came back. */
  echo(task: EchoTask): Promise<readonly Exchange[]>;
}

/** What a UDP datagram takes on the wire beside its payload: 14 bytes of Ethernet, 20 of IPv4 and 8 of UDP. */
export const DATAGRAM_HEADER_BYTES = 42;

/** The smallest datagram on the wire that holds what the two ends say to each other. */
export const MIN_DATAGRAM_BYTES = DATAGRAM_HEADER_BYTES + 40;
