import type { Draws } from './jitter.js';

/** The chances of Gilbert's model: that a run of losses begins, and that it ends, with the next packet. */
export interface Gilbert {
  readonly enter: number;
  readonly leave: number;
}

/** The shortest mean run of losses that can make up this share, e.g. 9 for 90 %: between two runs lies a packet at least. */
export function leastBurstPackets(lossPct: number): number {
  const share = lossPct / 100;
  return share >= 1 ? Number.POSITIVE_INFINITY : Math.max(1, share / (1 - share));
}

/**
 * Gilbert's model of losses in runs of `burstPackets` in the mean that make up `lossPct` of all packets. Runs shorter than
 * `leastBurstPackets` are taken to be as long: the share is kept.
 */
export function gilbert(lossPct: number, burstPackets: number): Gilbert {
  const share = lossPct / 100;
  if (share <= 0) return { enter: 0, leave: 1 };
  if (share >= 1) return { enter: 1, leave: 0 };
  const leave = 1 / Math.max(burstPackets, leastBurstPackets(lossPct));
  return { enter: Math.min(1, (leave * share) / (1 - share)), leave };
}

/** Decides of each packet, in turn, whether it gets lost. */
export class Loss {
  readonly #random: Draws;
  #inRun = false;
  #of = { lossPct: 0, burstPackets: undefined as number | undefined, chances: gilbert(0, 1) };

  constructor(random: Draws) {
    this.#random = random;
  }

  /** @param burstPackets mean length of a run of losses; undefined: packets are lost independently */
  takes(lossPct: number, burstPackets: number | undefined): boolean {
    if (lossPct <= 0) {
      this.#inRun = false;
      return false;
    }
    if (burstPackets === undefined) return this.#random.uniform() < lossPct / 100;
    if (this.#of.lossPct !== lossPct || this.#of.burstPackets !== burstPackets) {
      this.#of = { lossPct, burstPackets, chances: gilbert(lossPct, burstPackets) };
    }
    const { enter, leave } = this.#of.chances;
    const drawn = this.#random.uniform();
    this.#inRun = this.#inRun ? drawn >= leave : drawn < enter;
    return this.#inRun;
  }
}
