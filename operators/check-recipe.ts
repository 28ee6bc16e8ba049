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
    const misfit = misfitBehind(before, recipe[index] as Step);
    if (!misfit) continue;
    const { reason, fix = adviceFor(before, recipe[index] as Step) } = misfit;
    throw new TierbedError('invalid', `${name} behind ${namesOf(before)}: ${reason}`, { fix });
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

/** Why a step makes no sense behind others; undefined where it does. */
function misfitBehind(before: readonly Step[], step: Step): Misfit | undefined {
  const taken = operator(step.operator);
  return taken.after?.(before, step.options) ?? wholeWanted(taken, before);
}

/** Whether every step makes sense where it stands. */
function fits(steps: readonly Step[]): boolean {
  return steps.every((step, i) => misfitBehind(steps.slice(0, i), step) === undefined);
}

/** What to write in place of steps and one that does not fit behind them: nothing that would be refused in its turn. */
function adviceFor(before: readonly Step[], step: Step): string {
  const name = step.operator;
  for (const [place, other] of [...before.entries()].reverse()) {
    const moved = [...before.slice(0, place), step, ...before.slice(place)];
    if (fits(moved)) return `Put ${name} before ${other.operator}: \`${namesOf(moved)}\`.`;
  }
  const left = before
    .map((_, place) => [...before.filter((_, i) => i !== place), step])
    .findLast((shorter) => fits(shorter));
  const [first, then] = [namesOf(before), left && namesOf(left)];
  if (then === undefined) return `Leave this ${name} out: \`${first}\`.`;
  if (then === first) return `Write ${name} once: \`${first}\`.`;
  return `Choose one of the two: \`${first}\` or \`${then}\`.`;
}

function namesOf(steps: readonly Step[]): string {
  return steps.map((step) => step.operator).join('+');
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
  };
}

/** What `checkStep` could not know: an operator may give stages without having said so. @throws TierbedError `invalid` */
export function assertTakes(wants: Operator, variant: Variant): void {
  if (wants.takes === 'stages' || variant.stages.length === 1) return;
  const message = `${variant.name}: ${wants.name} works on a model in one piece, and this one is cut already`;
  throw new TierbedError('invalid', message, { fix: `Put ${wants.name} before what cuts the model.` });
}
