import type { KeptShare } from './kept-share.js';
import type { PruneMethod, WeightArrays } from './method.js';
import type { Choice, Choices, Structured } from './structured.js';

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
    return this.#kept(this.#method.choices(weights).at(this.#limit).gone);
  }

  /** @param share of the cost that has gone */
  advance(share: number, weights: WeightArrays): void {
    // A decision on what was decided before may differ in the last digits.
    const fits = (gone: ReadonlySet<number>): boolean => this.#kept(gone) <= 1 - share + 1e-12;
    if (fits(this.#method.gone)) return;
    const choices = this.#method.choices(weights);
    let [low, high] = [0, this.#limit];
    if (fits(choices.at(low).gone)) high = low;
    for (let i = 0; i < HALVINGS && low < high; i++) {
      const middle = (low + high) / 2;
      if (fits(choices.at(middle).gone)) high = middle;
      else low = middle;
    }
    const more = choices.at(high);
    const choice = low < high ? between(choices, choices.at(low), more, fits) : more;
    choice.take();
  }

  zero(weights: WeightArrays): void {
    this.#method.zero(weights);
  }
}

/**
 * Groups change by several units at once, and many of them at the same sparsity: of those, one after the other goes as far
 * as the next, the one that loses least first, until enough has gone; and none that need not.
 */
function between(choices: Choices, less: Choice, more: Choice, fits: (gone: ReadonlySet<number>) => boolean): Choice {
  const marks = [...less.marks];
  const loss = (g: number): number =>
    choices.worth(g, more.marks[g] as Uint8Array) - choices.worth(g, less.marks[g] as Uint8Array);
  const changing = [...marks.keys()].filter((g) => String(less.marks[g]) !== String(more.marks[g]));
  const order = changing.map((group) => ({ group, loss: loss(group) })).sort((a, b) => a.loss - b.loss);
  let choice = more;
  for (const [i, { group }] of order.entries()) {
    marks[group] = more.marks[group] as Uint8Array;
    const tried = choices.of(marks.slice());
    if (!fits(tried.gone)) continue;
    choice = tried;
    // The last may have been more than was missing: what it makes up for need not go.
    for (const { group: earlier } of order.slice(0, i).reverse()) {
      const without = choice.marks.map((own, g) => (g === earlier ? (less.marks[g] as Uint8Array) : own));
      const fewer = choices.of(without);
      if (fits(fewer.gone)) choice = fewer;
    }
    break;
  }
  return choice;
}
