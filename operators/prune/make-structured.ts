import { DATA_TYPE, type Model } from '../../onnx/model.js';
import { figuresOf, type StageFigures } from '../figures.js';
import type { OperatorContext } from '../operator.js';
import type { TrainSettings } from '../train/types.js';
import type { StageModel, Variant } from '../variant.js';
import { groupFacts, stayingFacts } from './facts.js';
import { type Grouping, type PruningGroup, pruningGroups } from './groups.js';
import { keptShare } from './kept-share.js';
import { leftOut } from './left-out.js';
import { measuredItem } from './measure.js';
import type { PrunePlan } from './options.js';
import type { Pruned } from './pruned.js';
import {
  largestSparsity,
  refuseFrozen,
  refuseImpossible,
  refuseNoUnits,
  refuseSchedule,
  refuseUnreachable,
  refuseWithoutScores,
} from './refusals.js';
import { removeUnits } from './remove.js';
import { Structured, type UnitWeight } from './structured.js';
import { TowardsTarget } from './towards-target.js';
import { weightArrays } from './weights.js';
import { pruneAtOnce, pruneGradually, type Trained, trainPruned } from './with-training.js';

type StructuredPlan = Extract<PrunePlan, { kind: 'structured' }>;

/**
 * A model without some of its channels, neurons and heads.
 *
 * @param excluded patterns that the user gave
 * @throws TierbedError `invalid` when nothing can be removed, or too little would be left; as `train`
 */
export async function makeStructured(
  model: Model,
  plan: StructuredPlan,
  settings: TrainSettings | undefined,
  excluded: readonly string[],
  { name, stages }: Variant,
  context: OperatorContext,
): Promise<Pruned> {
  const grouping = await pruningGroups(model);
  const left = leftOut(
    grouping.model.graph.initializers.map((each) => each.name),
    plan.exclude,
    excluded,
  );
  const groups = grouping.groups.filter(
    ({ kind, units, axes }) =>
      plan.units.includes(kind) && units.length > 1 && !axes.some(({ tensor }) => left.has(tensor)),
  );
  if (plan.target) refuseNoUnits(grouping, groups, plan, name);
  else refuseImpossible(grouping, groups, plan, name);
  const weights = unitWeights(grouping.model, groups);
  refuseWithoutScores(groups, weights, plan);
  // What gradients alone can tell is decided while it is trained, whatever goes.
  if (plan.score !== 'taylor') refuseSchedule(groups, plan.schedule);
  const method = new Structured(groups, weights, plan);
  const driven = plan.target
    ? await towardsTarget(plan.target, method, grouping, groups, plan, stages[0] as StageModel, name, context)
    : method;
  const report = (made: Model, { training, distill }: Omit<Trained, 'model'>): Pruned => ({
    model: made,
    facts: {
      ...groupFacts(groups, method.gone),
      ...{ stays: stayingFacts(grouping.stays), leftOut: [...left], training, ...(distill && { distill }) },
    },
  });
  // What a normalisation says changes when features go: it is the model without them that must be trained.
  const first = plan.schedule.shape === 'once' || groups.some(({ changes }) => changes !== undefined);
  if (settings && (!first || method.needsGradients)) {
    refuseFrozen(weights.keys(), settings);
    const pruned = await pruneGradually(grouping.model, driven, plan, settings, context);
    return report(await removeUnits({ ...grouping, model: pruned.model }, method.gone), pruned);
  }
  const atOnce = pruneAtOnce(grouping.model, driven, plan, new Set(weights.keys()));
  const smaller = await removeUnits(grouping, method.gone);
  if (!settings) return report(smaller, atOnce);
  const trained = await trainPruned(smaller, grouping.model, [], plan, settings, context);
  return report(trained.model, trained);
}

/** A method that goes by a share of a cost. @throws TierbedError `invalid` when the target cannot be reached */
async function towardsTarget(
  target: NonNullable<StructuredPlan['target']>,
  method: Structured,
  grouping: Grouping,
  groups: readonly PruningGroup[],
  plan: StructuredPlan,
  given: StageModel,
  name: string,
  { workload, signal }: OperatorContext,
): Promise<TowardsTarget> {
  const item = await measuredItem(workload, signal);
  const [before] = await figuresOf([given], item);
  const kept = await keptShare(grouping, groups, target.cost, before as StageFigures, item);
  const driven = new TowardsTarget(method, kept, largestSparsity(groups, plan));
  const touched = new Set(groups.flatMap(({ axes }) => axes.map(({ tensor }) => tensor)));
  const least = driven.least(weightArrays(grouping.model, touched));
  refuseUnreachable(target, { whole: kept(new Set()), least }, name);
  return driven;
}

/** The float32 weights that units take indices out of. */
function unitWeights({ graph }: Model, groups: readonly PruningGroup[]): ReadonlyMap<string, UnitWeight> {
  const scales = new Set(
    graph.nodes.flatMap(({ opType, inputs }) => (opType === 'BatchNormalization' ? [inputs[1] as string] : [])),
  );
  const touched = new Set(groups.flatMap(({ axes }) => axes.map(({ tensor }) => tensor)));
  return new Map(
    graph.initializers
      .filter(({ name, dataType }) => touched.has(name) && dataType === DATA_TYPE.float32)
      .map(({ name, dims }) => [name, { dims, bnScale: scales.has(name) }]),
  );
}
