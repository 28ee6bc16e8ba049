import { TierbedError } from '../../base/errors.js';
import { fitsPattern } from '../train/name-patterns.js';
import type { TrainSettings } from '../train/types.js';
import type { Grouping, PruningGroup } from './groups.js';
import type { PrunePlan } from './options.js';
import type { PruneSchedule } from './schedule.js';
import { type UnitWeight, unitsToRemove } from './structured.js';

type StructuredPlan = Extract<PrunePlan, { kind: 'structured' }>;

/**
 * Refuses what would remove nothing, or leave too little.
 *
 * @param groups those that may lose units
 * @throws TierbedError `invalid`
 */
export function refuseImpossible(
  { groups: all, stays }: Pick<Grouping, 'groups' | 'stays'>,
  groups: readonly PruningGroup[],
  plan: StructuredPlan,
  name: string,
): void {
  refuseNoUnits({ groups: all, stays }, groups, plan, name);
  const removes = plan.scope === 'layer' ? removesOfEach(groups, plan) : removesOfAll(groups, plan);
  if (removes) return;
  throw new TierbedError(
    'invalid',
    `prune: a sparsity of ${plan.sparsity} removes no unit of ${name}: its groups are too small`,
    { fix: 'Ask for more, or lower `multipleOf`.' },
  );
}

/** @throws TierbedError `invalid` when there is no group that may lose units */
export function refuseNoUnits(
  { groups: all, stays }: Pick<Grouping, 'groups' | 'stays'>,
  groups: readonly PruningGroup[],
  plan: StructuredPlan,
  name: string,
): void {
  if (groups.length === 0) {
    const kinds = [...new Set(all.map(({ kind }) => kind))].join(', ');
    const reasons = [...new Set(stays.map(({ reason }) => reason))].slice(0, 3).join('; ');
    throw new TierbedError('invalid', `${name} has no ${plan.units.join(', ')} that can be removed (${reasons})`, {
      fix: kinds ? `It has ${kinds}: name them in \`units\`, or exclude less.` : 'Use `kind: unstructured`.',
    });
  }
}

/**
 * The largest sparsity that leaves every group as many units as must stay.
 *
 * @throws TierbedError `invalid` when one has fewer as it is
 */
export function largestSparsity(groups: readonly PruningGroup[], plan: StructuredPlan): number {
  // Of all groups together, none loses more than it may.
  if (plan.scope === 'global') return 1;
  const leaves = (sparsity: number): boolean =>
    groups.every((group) => group.units.length - unitsToRemove(group, sparsity, plan) >= Math.max(1, plan.atLeast));
  if (!leaves(0)) removesOfEach(groups, { ...plan, sparsity: 0 });
  let [low, high] = [0, 1];
  for (let i = 0; i < 24; i++) {
    const middle = (low + high) / 2;
    if (leaves(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/**
 * Refuses a target that cannot be reached, with the nearest that can.
 *
 * @param whole the share that the model keeps as it is
 * @param least the share that it keeps when all goes that may
 * @throws TierbedError `invalid`
 */
export function refuseUnreachable(
  { cost, kept }: NonNullable<StructuredPlan['target']>,
  { whole, least }: { readonly whole: number; readonly least: number },
  name: string,
): void {
  if (Number.isNaN(whole)) {
    throw new TierbedError('invalid', `prune.target.macs: the multiply-accumulates of ${name} are not known`, {
      fix: 'Use `target: { parameters: SHARE }`, or a `sparsity`.',
    });
  }
  if (whole <= kept) {
    throw new TierbedError('invalid', `prune.target.${cost}: ${name} keeps ${share(whole)} as it is`, {
      fix: 'Ask for less.',
    });
  }
  if (least <= kept) return;
  throw new TierbedError(
    'invalid',
    `prune.target.${cost}: ${kept} of ${name} cannot be reached: when all goes that may, ${share(least)} are kept`,
    {
      fix: `Ask for ${share(least)} or more; or lower \`atLeast\` or \`multipleOf\`, exclude less, or name more \`units\`.`,
    },
  );
}

/** Rounded up: a target of what is said can be reached. */
function share(exact: number): number {
  return Math.ceil(exact * 1000) / 1000;
}

/** @throws TierbedError `invalid` when a group would keep too few */
function removesOfEach(groups: readonly PruningGroup[], plan: StructuredPlan): boolean {
  const { sparsity, atLeast } = plan;
  const rows = groups.map((group) => {
    const { name, kind, units } = group;
    return { name, kind, units: units.length, gone: unitsToRemove(group, sparsity, plan) };
  });
  const [first, ...others] = rows.filter(({ units, gone }) => units - gone < atLeast);
  if (!first) return rows.some(({ gone }) => gone > 0);
  const { name, kind, units, gone } = first;
  const more = others.length > 0 ? `; ${others.length} more groups keep too few` : '';
  throw new TierbedError(
    'invalid',
    `prune: a sparsity of ${sparsity} leaves ${units - gone} of ${units} ${kind} of ${name}, and ${atLeast} must stay${more}`,
    { fix: 'Ask for less, lower `atLeast`, exclude its weights, or set `scope: global`.' },
  );
}

/** @throws TierbedError `invalid` when so many cannot go */
function removesOfAll(groups: readonly PruningGroup[], { sparsity, atLeast }: StructuredPlan): boolean {
  const total = groups.reduce((sum, { units }) => sum + units.length, 0);
  const most = groups.reduce((sum, { units }) => sum + Math.max(0, units.length - atLeast), 0);
  const wanted = Math.floor(sparsity * total);
  if (wanted <= most) return wanted > 0;
  throw new TierbedError(
    'invalid',
    `prune: ${wanted} of ${total} units would go, and no more than ${most} can: ${atLeast} of each group must stay`,
    { fix: 'Ask for less, or lower `atLeast`.' },
  );
}

/**
 * Refuses to prune weights while a training leaves them as they are: they would not be scored, and keep what was to go.
 *
 * @param weights names of those that may lose something
 * @throws TierbedError `invalid`
 */
export function refuseFrozen(weights: Iterable<string>, { freeze = [] }: TrainSettings): void {
  for (const name of weights) {
    const pattern = freeze.find((each) => fitsPattern(name, each));
    if (pattern === undefined) continue;
    throw new TierbedError(
      'invalid',
      `prune: \`train.freeze\` leaves ${name} as it is ('${pattern}'), and it is to be pruned`,
      {
        fix: 'Name it in `exclude` too, or freeze it no more.',
      },
    );
  }
}

/**
 * Refuses a schedule where units go before training, as features do: without them, normalisations say something else.
 *
 * @param given the schedule as it was given
 * @throws TierbedError `invalid`
 */
export function refuseSchedule(groups: readonly PruningGroup[], given: PruneSchedule): void {
  const changing = groups.find(({ changes }) => changes !== undefined);
  if (!changing || Object.keys(given).length === 0 || given.shape === 'once') return;
  throw new TierbedError(
    'invalid',
    `prune: the ${changing.kind} of ${changing.name} go before training, and there is a schedule`,
    {
      fix: 'Leave `schedule` out, or `features` out of `units`.',
    },
  );
}

/** @throws TierbedError `invalid` when a group has nothing that the score is made of */
export function refuseWithoutScores(
  groups: readonly PruningGroup[],
  weights: ReadonlyMap<string, UnitWeight>,
  { score }: Pick<StructuredPlan, 'score'>,
): void {
  const counts = (weight: UnitWeight | undefined): boolean =>
    weight !== undefined && (score === 'bn-scale' ? weight.bnScale : weight.dims.length > 1);
  const without = groups.find(({ axes }) => !axes.some(({ tensor }) => counts(weights.get(tensor))));
  if (!without) return;
  const wanted = score === 'bn-scale' ? 'scale of a BatchNormalization' : 'float32 weight';
  throw new TierbedError('invalid', `prune: the ${without.kind} of ${without.name} have no ${wanted}`, {
    fix: score === 'bn-scale' ? 'Use `score: l2`.' : 'Export the model in float32.',
  });
}
