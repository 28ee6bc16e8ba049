import { createHash } from 'node:crypto';
import { Random } from '../../../base/random.js';

/** What the order is drawn from. */
export interface PlanRule {
  readonly seed: number;
  readonly rounds: number;
  /** For each workload how many items it has and which strategies (indexes) run on them. */
  readonly workloads: readonly { readonly items: number; readonly strategies: readonly number[] }[];
}

/** One sample to be measured; all but the counting numbers are indexes. */
export interface PlannedSample {
  /** 1, 2, 3... over the whole plan: a row of the results. */
  readonly sample: number;
  /** From 1. */
  readonly round: number;
  /** From 1, over the whole plan: one item run by every strategy of its workload. */
  readonly block: number;
  readonly workload: number;
  readonly item: number;
  readonly strategy: number;
}

/** The rule in words, for plan.json. */
export const PLAN_RULE =
  "For each round r a generator, Random(seed).fork('round r'), shuffles the blocks (every item of every workload), " +
  'then, block by block, the strategies of the workload. Samples are counted in that order.';

/** The number of samples of a plan. */
export function planLength({ rounds, workloads }: PlanRule): number {
  return rounds * workloads.reduce((sum, { items, strategies }) => sum + items * strategies.length, 0);
}

/**
 * Draws the plan, sample by sample: the whole order follows from the rule, so that a million samples need no list.
 * Strategies are interleaved: within a round every block runs all strategies of its workload in an order of its own.
 */
export function* drawPlan(rule: PlanRule): Generator<PlannedSample> {
  const root = new Random(rule.seed);
  const blocks = rule.workloads.flatMap(({ items }, workload) =>
    Array.from({ length: items }, (_, item) => ({ workload, item })),
  );
  let sample = 0;
  let block = 0;
  for (let round = 1; round <= rule.rounds; round++) {
    const random = root.fork(`round ${round}`);
    for (const { workload, item } of random.shuffle(blocks)) {
      block++;
      const { strategies } = rule.workloads[workload] as PlanRule['workloads'][number];
      for (const strategy of random.shuffle(strategies)) {
        yield { sample: ++sample, round, block, workload, item, strategy };
      }
    }
  }
}

/** The sha256 of the whole order: two plans with the same hash are the same. */
export function planHash(rule: PlanRule): string {
  const hash = createHash('sha256');
  let text = '';
  for (const { round, block, workload, item, strategy } of drawPlan(rule)) {
    text += `${round},${block},${workload},${item},${strategy}\n`;
    if (text.length > 1 << 16) {
      hash.update(text);
      text = '';
    }
  }
  return hash.update(text).digest('hex');
}
