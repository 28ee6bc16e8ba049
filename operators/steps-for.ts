import type { Step } from './variant.js';

/** The steps that a recipe has for a workload; undefined where all of them are for others: it is no recipe for this one. */
export function stepsFor(recipe: readonly Step[], workload: string): readonly Step[] | undefined {
  const own = recipe.filter((step) => isFor(step, workload));
  return own.length === 0 && recipe.length > 0 ? undefined : own;
}

/** Whether a step is taken for a workload. */
export function isFor(step: Step, workload: string): boolean {
  return step.for?.includes(workload) ?? true;
}
