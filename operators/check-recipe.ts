import { problemOf, showPath } from '../base/checked-yaml.js';
import { TierbedError } from '../base/errors.js';
import { operator } from './index.js';
import type { Misfit, Operator } from './operator.js';
import { isFor } from './steps-for.js';
import type { Step, Variant } from './variant.js';

/**
 * Checks all of a step that can be checked before anything is built: that there is its operator, its options, and that
 * it makes sense where it stands. The steps before it are taken to be checked.
 *
 * @param workloads the names of those that the recipe is for; undefined while they are not known
 * @throws TierbedError `invalid` with the reason
 */
export function checkStep(recipe: readonly Step[], index: number, workloads?: readonly string[]): void {
  const { operator: name, options, for: only } = recipe[index] as Step;
  const taken = operator(name);
  const problem = problemOf(options, taken.optionsSchema);
  if (problem) {
    const message = `${showPath([name, ...problem.path])}: ${problem.message}`;
    throw new TierbedError('invalid', message, problem.fix === undefined ? {} : { fix: problem.fix });
  }
  for (const before of stepsBefore(recipe, index)) {
    const misfit = taken.after?.(before, options) ?? wholeWanted(taken, before);
    if (!misfit) continue;
    const { reason, fix } = misfit;
    const behind = before.map((step) => step.operator).join('+');
    throw new TierbedError('invalid', `${name} behind ${behind}: ${reason}`, fix === undefined ? {} : { fix });
  }
  if (!workloads) return;
  const unknown = only?.filter((workload) => !workloads.includes(workload)) ?? [];
  if (unknown.length > 0) {
    throw new TierbedError('invalid', `${name} is for ${unknown.join(', ')}, and there is no such workload`, {
      fix: `Name one of: ${workloads.join(', ')}.`,
    });
  }
  taken.check?.(options, only ?? workloads);
}

/** What stands before a step: once for each workload that any step of the recipe is for, and for all others. */
function stepsBefore(recipe: readonly Step[], index: number): readonly (readonly Step[])[] {
  const own = recipe[index] as Step;
  const named = new Set(recipe.flatMap((step) => step.for ?? []));
  const before = recipe.slice(0, index);
  const others = own.for ? [] : [before.filter((step) => !step.for)];
  return [
    ...others,
    ...[...named].filter((name) => isFor(own, name)).map((name) => before.filter((step) => isFor(step, name))),
  ];
}

/** As `checkStep`, of each step of a recipe, the first to the last. */
export function checkRecipe(recipe: readonly Step[], workloads?: readonly string[]): void {
  for (const index of recipe.keys()) checkStep(recipe, index, workloads);
}

/** The misfit of an operator that wants a model in one piece, where the steps before it give stages. */
function wholeWanted(wants: Operator, before: readonly Step[]): Misfit | undefined {
  if (wants.takes === 'stages') return undefined;
  let cutter: string | undefined;
  for (const step of before) {
    const gives = operator(step.operator).gives?.(step.options);
    if (gives !== undefined) cutter = gives === 'stages' ? step.operator : undefined;
  }
  if (cutter === undefined) return undefined;
  return {
    reason: `${wants.name} works on a model in one piece, and ${cutter} gives stages`,
    fix: `Put ${wants.name} before ${cutter}.`,
  };
}

/** What `checkStep` could not know: an operator may give stages without having said so. @throws TierbedError `invalid` */
export function assertTakes(wants: Operator, variant: Variant): void {
  if (wants.takes === 'stages' || variant.stages.length === 1) return;
  const message = `${variant.name}: ${wants.name} works on a model in one piece, and this one is cut already`;
  throw new TierbedError('invalid', message, { fix: `Put ${wants.name} before what cuts the model.` });
}
