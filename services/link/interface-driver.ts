import type { DirectionSettings } from './types.js';

/**
 * Shapes what crosses one network interface of this process's network namespace, one way, in the kernel's own path: a
 * driver of link agents (`netem`, `nfqueue`). Links between processes of one machine have `LinkDriver` instead.
 */
export interface InterfaceDriver {
  readonly name: string;
  /** `egress`: what leaves by the interface; `ingress`: what comes in by it. */
  readonly side: 'egress' | 'ingress';
  /** Why it cannot work here (kernel, capability, program that is missing), or undefined when it can. Leaves nothing behind. */
  unavailable(): Promise<string | undefined>;
  /**
   * Puts settings in force on an interface, e.g. `eth0`. Until it resolves, nothing passes unshaped that passed shaped
   * before; what is left of an earlier process that was killed is taken over or taken away.
   *
   * @throws TierbedError `invalid` for settings that it cannot do, naming the key; `refused` with the kernel's words
   */
  open(interfaceName: string, settings: DirectionSettings): Promise<OpenInterface>;
}

export interface OpenInterface {
  /** Changes the settings from now on; `blocked`: drops everything until the next call. */
  set(settings: DirectionSettings, blocked?: boolean): Promise<void>;
  stats(): Promise<InterfaceStats>;
  /** Takes away all that `open` put there. */
  close(): Promise<void>;
}

/** Counts since `open`, of packets as they are on the wire. */
export interface InterfaceStats {
  readonly packets: number;
  readonly bytes: number;
  /** Lost as `lossPct` asks, or because the link is blocked. */
  readonly lostPackets: number;
  /** Dropped because the queue was full. */
  readonly droppedPackets: number;
  /** Bytes that wait for the rate limiter now. */
  readonly queuedBytes: number;
}
