import type { StrategyIdentity } from '../../../analysis/summary.js';
import type { ResolvedStudy } from '../study/resolve.js';
import { drawPlan, PLAN_RULE, type PlanRule, planHash, planLength } from './plan.js';

/** Up to this many samples plan.json spells the order out; above, the rule and the hash stand for it. */
const SPELT_OUT = 100_000;

/** plan.json: all that was decided before the run. */
export interface PlanFile {
  readonly samples: number;
  readonly seed: number;
  readonly rounds: number;
  readonly rule: string;
  /** sha256 of the whole order. */
  readonly orderSha256: string;
  readonly strategies: readonly StrategyIdentity[];
  readonly variants: readonly { workload: string; recipe: string; stages: readonly (readonly string[])[] }[];
  readonly workloads: readonly {
    name: string;
    metric: string;
    items: readonly { id: string; label: string; sha256: string }[];
    /** Drawn, and in no sample: they could not be read. */
    unreadable?: readonly { id: string; reason: string }[];
  }[];
  /** One line a block, `ROUND WORKLOAD ITEM: STRATEGY STRATEGY...`, all but the round indexes into the lists above. */
  readonly order?: readonly string[];
}

/** Draws up plan.json. */
export function planFile({ rule, strategies, workloads }: ResolvedStudy): PlanFile {
  const samples = planLength(rule);
  const variants = new Map(strategies.map((s) => [`${s.workload} ${s.recipe}`, s]));
  return {
    samples,
    seed: rule.seed,
    rounds: rule.rounds,
    rule: PLAN_RULE,
    orderSha256: planHash(rule),
    strategies: strategies.map(({ id, workload, recipe, placement, session, exits }) => ({
      ...{ id, workload, recipe, placement, session },
      ...(exits && { exits }),
    })),
    variants: [...variants.values()].map(({ workload, recipe, variant }) => ({
      workload,
      recipe,
      stages: variant.stages.map(({ files }) => files.map(({ sha256 }) => sha256)),
    })),
    workloads: workloads.map(({ workload, items, unreadable }) => ({
      name: workload.name,
      metric: workload.metric,
      items: items.map(({ id, label, sha256 }) => ({ id, label, sha256 })),
      ...(unreadable.length > 0 && { unreadable }),
    })),
    ...(samples <= SPELT_OUT ? { order: spellOut(rule) } : {}),
  };
}

function spellOut(rule: PlanRule): string[] {
  const lines: string[] = [];
  for (const { round, block, workload, item, strategy } of drawPlan(rule)) {
    lines[block - 1] = `${lines[block - 1] ?? `${round} ${workload} ${item}:`} ${strategy}`;
  }
  return lines;
}
