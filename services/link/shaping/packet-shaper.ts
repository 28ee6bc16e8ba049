import type { Random } from '../../../base/random.js';
import type { InterfaceStats } from '../interface-driver.js';
import type { DirectionSettings } from '../types.js';
import { Loss } from './loss.js';
import { Transit } from './transit.js';

/** What becomes of a packet: it is on its way; lost, as the settings ask; or dropped, because the queue was full. */
export type Fate = 'taken' | 'lost' | 'dropped';

interface Packet<T> {
  readonly item: T;
  readonly segments: number;
}

/**
 * One direction of a link for whole packets: losses first, then a queue with tail drop, the rate limiter and the delay line
 * (`Transit`). Time is an argument, in milliseconds.
 */
export class PacketShaper<T> {
  readonly #transit: Transit<Packet<T>>;
  readonly #loss: Loss;
  #blocked: boolean;
  #packets = 0;
  #bytes = 0;
  #lostPackets = 0;
  #droppedPackets = 0;

  /** @param random seeds jitter and losses: each has a generator of its own, so that one does not shift the other */
  constructor(settings: DirectionSettings, random: Random, atMs: number, blocked = false) {
    this.#transit = new Transit(settings, random.fork('jitter'), atMs);
    this.#loss = new Loss(random.fork('loss'));
    this.#blocked = blocked;
  }

  /**
   * Settings for what comes from now on; what is on its way keeps its times, and nothing overtakes it. A direction that is
   * blocked loses what is on its way too.
   *
   * @returns what was lost, in order
   */
  set(settings: DirectionSettings, atMs: number, blocked = false): T[] {
    this.#transit.set(settings, atMs);
    this.#blocked = blocked;
    if (!blocked) return [];
    const cut = this.#transit.clear();
    for (const { segments } of cut) this.#lostPackets += segments;
    return cut.map(({ item }) => item);
  }

  /** A packet came. @param segments the packets that it is on the wire, if it is several in one */
  offer(item: T, wireBytes: number, atMs: number, segments = 1): Fate {
    const { lossPct = 0, lossBurstPackets } = this.#transit.settingsAt(atMs);
    if (this.#blocked || this.#loss.takes(lossPct, lossBurstPackets)) {
      this.#lostPackets += segments;
      return 'lost';
    }
    if (!this.#transit.admits(wireBytes, atMs)) {
      this.#droppedPackets += segments;
      return 'dropped';
    }
    this.#transit.push({ item, segments }, wireBytes, atMs);
    return 'taken';
  }

  /** When the next packet reaches the far end, Infinity if none is on its way. */
  get releaseMs(): number {
    return this.#transit.releaseMs;
  }

  /** The next packet that reached the far end by this time. */
  shift(atMs: number): T | undefined {
    const next = this.#transit.shift(atMs);
    if (!next) return undefined;
    this.#packets += next.item.segments;
    this.#bytes += next.wireBytes;
    return next.item.item;
  }

  stats(atMs: number): InterfaceStats {
    return {
      packets: this.#packets,
      bytes: this.#bytes,
      lostPackets: this.#lostPackets,
      droppedPackets: this.#droppedPackets,
      queuedBytes: this.#transit.queuedBytes(atMs),
    };
  }
}
