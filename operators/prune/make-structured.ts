import { DATA_TYPE, type Model } from '../../onnx/model.js';
import type { OperatorContext } from '../operator.js';
import type { TrainSettings } from '../train/types.js';
import { groupFacts, stayingFacts } from './facts.js';
import { type PruningGroup, pruningGroups } from './groups.js';
import { leftOut } from './left-out.js';
import type { PrunePlan } from './options.js';
import type { Pruned } from './pruned.js';
import { refuseFrozen, refuseImpossible, refuseSchedule, refuseWithoutScores } from './refusals.js';
import { removeUnits } from './remove.js';
import { Structured, type UnitWeight } from './structured.js';
import { pruneAtOnce, pruneGradually, type Trained, trainPruned } from './with-training.js';

/**
 * A model without some of its channels, neurons and heads.
 *
 * @param excluded patterns that the user gave
 * @throws TierbedError `invalid` when nothing can be removed, or too little would be left; as `train`
 */
export async function makeStructured(
  model: Model,
  plan: Extract<PrunePlan, { kind: 'structured' }>,
  settings: TrainSettings | undefined,
  excluded: readonly string[],
  name: string,
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
  refuseImpossible(grouping, groups, plan, name);
  const weights = unitWeights(grouping.model, groups);
  refuseWithoutScores(groups, weights, plan);
  // What gradients alone can tell is decided while it is trained, whatever goes.
  if (plan.score !== 'taylor') refuseSchedule(groups, plan.schedule);
  const method = new Structured(groups, weights, plan);
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
    const pruned = await pruneGradually(grouping.model, method, plan, settings, context);
    return report(await removeUnits({ ...grouping, model: pruned.model }, method.gone), pruned);
  }
  const atOnce = pruneAtOnce(grouping.model, method, plan, new Set(weights.keys()));
  const smaller = await removeUnits(grouping, method.gone);
  if (!settings) return report(smaller, atOnce);
  const trained = await trainPruned(smaller, grouping.model, [], plan, settings, context);
  return report(trained.model, trained);
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
