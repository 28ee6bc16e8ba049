import { join } from 'node:path';
import { TierbedError } from '../base/errors.js';
import { cacheDir } from '../base/paths.js';
import { type Progress, silent } from '../base/progress.js';
import { partHash } from '../workloads/prepared.js';
import type { Workload } from '../workloads/types.js';
import { assertTakes } from './check-recipe.js';
import { operator } from './index.js';
import { describeModel } from './model-files.js';
import type { Step, Variant } from './variant.js';
import { keepStep, readKept, stepKey } from './variant-cache.js';

export interface BuildOptions {
  /** Where built variants are kept between runs. */
  readonly cache?: string;
  /** Threads for running models; 0, the default, is one for each processor. */
  readonly threads?: number;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}

/**
 * Takes a workload's model through a recipe, one operator after the other. Each step is kept in the cache under a hash
 * of what went in, so that nothing is built twice.
 *
 * @returns the variants; none when the recipe does not apply to this workload
 * @throws TierbedError whatever an operator throws; `exhausted` when the disk is full; `cancelled` when `signal` says so
 */
export async function buildVariants(
  workload: Workload,
  name: string,
  recipe: readonly Step[],
  options: BuildOptions = {},
): Promise<readonly Variant[]> {
  let variants: readonly Variant[] = [{ name, stages: [await describeModel(workload.modelPath)], steps: [] }];
  for (const step of recipe) {
    const next: Variant[] = [];
    for (const variant of variants) next.push(...(await takeStep(workload, variant, step, options)));
    variants = next;
  }
  return variants;
}

async function takeStep(workload: Workload, variant: Variant, step: Step, options: BuildOptions): Promise<Variant[]> {
  const { signal = new AbortController().signal, progress = silent, threads = 0 } = options;
  if (signal.aborted) throw new TierbedError('cancelled', 'cancelled while models were built');
  const taken = operator(step.operator);
  assertTakes(taken, variant);
  const data: string[] = [];
  for (const part of taken.reads?.(step.options) ?? []) {
    progress.start(`reading the ${part} part of ${workload.name}`);
    data.push(await partHash(workload, part, signal));
    progress.stop();
  }
  const cache = options.cache ?? join(cacheDir(), 'variants');
  const key = stepKey(workload.name, variant, step, taken.version, data);
  const kept = await readKept(join(cache, key), variant);
  const { tookMs, made } =
    kept ??
    (await keepStep(cache, key, variant, async (outDir) => {
      const startMs = performance.now();
      const made = await taken.apply(variant, step.options, { workload, outDir, threads, progress, signal });
      return { tookMs: performance.now() - startMs, made };
    }));
  return made.map(({ name, stages, facts = {} }): Variant => {
    const took = { ...step, version: taken.version, tookMs, cached: kept !== undefined, facts };
    return { name, stages, steps: [...variant.steps, took] };
  });
}
