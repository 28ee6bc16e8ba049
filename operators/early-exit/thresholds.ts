/** What one exit says of the tuning items, in their order. */
export interface ExitTrial {
  /** 0 to 1. */
  readonly confidence: readonly number[];
  readonly right: readonly boolean[];
}

export interface ThresholdChoice {
  /** Per exit; `NEVER` where no item may leave. */
  readonly thresholds: readonly number[];
  /** Per exit, the share of the items that leave there. */
  readonly shares: readonly number[];
  /** Of all items, 0 to 1, with the exits and without them. */
  readonly accuracy: number;
  readonly fullAccuracy: number;
}

/** No confidence is that high. */
export const NEVER = 2;

/**
 * The thresholds at which as many items leave early as the stated drop allows. The exits are set one after the other, from
 * the front; each may use its equal part of the drop, and what those before it left of theirs.
 *
 * @param last whether the whole model is right on each item
 * @param maxDrop of the share of right answers, 0 to 1
 */
export function chooseThresholds(
  exits: readonly ExitTrial[],
  last: readonly boolean[],
  maxDrop: number,
): ThresholdChoice {
  const n = last.length;
  const fullRight = last.filter(Boolean).length;
  const gone = new Array<boolean>(n).fill(false);
  const thresholds: number[] = [];
  const shares: number[] = [];
  let right = fullRight;
  for (const [i, exit] of exits.entries()) {
    // A tolerance far below one item: 0.01 of 100 items are one item, whatever the last bits say.
    const least = fullRight - n * ((maxDrop * (i + 1)) / exits.length) - 1e-9;
    const left = Array.from({ length: n }, (_, item) => item).filter((item) => !gone[item]);
    const order = byConfidence(left, exit);
    const { count, gained } = mostThatMayLeave(order, exit, last, right - least);
    thresholds.push(thresholdAfter(order, exit, count));
    for (const item of order.slice(0, count)) gone[item] = true;
    shares.push(n === 0 ? 0 : count / n);
    right += gained;
  }
  return {
    thresholds,
    shares,
    accuracy: n === 0 ? 0 : right / n,
    fullAccuracy: n === 0 ? 0 : fullRight / n,
  };
}

/** The surest first; those of no confidence, which never leave, are left out. */
function byConfidence(items: readonly number[], { confidence }: ExitTrial): number[] {
  return items
    .filter((item) => (confidence[item] as number) >= 0)
    .toSorted((a, b) => (confidence[b] as number) - (confidence[a] as number));
}

/** How many of the surest items may leave when `spare` right answers more may be lost than are won, and what is won. */
function mostThatMayLeave(
  order: readonly number[],
  exit: ExitTrial,
  last: readonly boolean[],
  spare: number,
): { count: number; gained: number } {
  let best = { count: 0, gained: 0 };
  let gained = 0;
  for (const [i, item] of order.entries()) {
    gained += Number(exit.right[item]) - Number(last[item]);
    const next = order[i + 1];
    // Items of the same confidence leave together.
    if (next !== undefined && exit.confidence[next] === exit.confidence[item]) continue;
    if (gained >= -spare) best = { count: i + 1, gained };
  }
  return best;
}

/** What a confidence may be less by where it is computed in another order, in float32. */
const ROUNDING = 1e-4;

/** Half-way between the last that leaves and the first that stays, so that another rounding of either changes nothing. */
function thresholdAfter(order: readonly number[], { confidence }: ExitTrial, count: number): number {
  if (count === 0) return NEVER;
  const leaves = confidence[order[count - 1] as number] as number;
  const next = order[count];
  if (next === undefined) return Math.max(0, leaves - ROUNDING);
  const half = (leaves + (confidence[next] as number)) / 2;
  return half > (confidence[next] as number) ? half : leaves;
}
