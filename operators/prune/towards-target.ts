import type { KeptShare } from './kept-share.js';
import type { PruneMethod, WeightArrays } from './method.js';
import type { Structured } from './structured.js';

/** Halvings of the sparsity: units of a group are told apart by far fewer. */
const HALVINGS = 24;

/**
 * Removes as few units as leave a share of a cost, in place of a share of the units: each decision takes the least
 * sparsity at which so much of the cost has gone.
 */
export class TowardsTarget implements PruneMethod {
  readonly #method: Structured;
  readonly #kept: KeptShare;
  readonly #limit: number;

  /** @param limit the sparsity that there may be at most */
  constructor(method: Structured, kept: KeptShare, limit: number) {
    this.#method = method;
    this.#kept = kept;
    this.#limit = limit;
  }

  get needsGradients(): boolean {
    return this.#method.needsGradients;
  }

  get state(): PruneMethod['state'] {
    return this.#method.state;
  }

  observe(weights: WeightArrays, gradients: WeightArrays): void {
    this.#method.observe(weights, gradients);
  }

  /** The share that is kept when all goes that may. */
  least(weights: WeightArrays): number {
    return this.#kept(this.#method.choices(weights)(this.#limit).gone);
  }

  /** @param share of the cost that has gone */
  advance(share: number, weights: WeightArrays): void {
    // A decision on what was decided before may differ in the last digits.
    const fits = (gone: ReadonlySet<number>): boolean => this.#kept(gone) <= 1 - share + 1e-12;
    if (fits(this.#method.gone)) return;
    const choose = this.#method.choices(weights);
    let [low, high] = [0, this.#limit];
    if (fits(choose(low).gone)) high = low;
    for (let i = 0; i < HALVINGS && low < high; i++) {
      const middle = (low + high) / 2;
      if (fits(choose(middle).gone)) high = middle;
      else low = middle;
    }
    choose(high).take();
  }

  zero(weights: WeightArrays): void {
    this.#method.zero(weights);
  }
}
