import { resolveStudyPath } from '../workloads/paths.js';
import { operator } from './index.js';
import type { Step } from './variant.js';

/**
 * Steps with the paths in their options resolved.
 *
 * @param baseDir the folder of the file that has the recipe; the working folder for a recipe of the command line
 * @throws TierbedError `missing` when a path names an environment variable that is not set
 */
export function resolvedSteps(steps: readonly Step[], baseDir: string): readonly Step[] {
  const resolve = (path: string): string => resolveStudyPath(path, baseDir);
  return steps.map((step) => {
    const { resolved } = operator(step.operator);
    return resolved ? { ...step, options: resolved(step.options, resolve) } : step;
  });
}
