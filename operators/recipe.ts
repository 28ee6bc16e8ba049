import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, TierbedError } from '../base/errors.js';
import { cacheDir } from '../base/paths.js';
import { type Progress, silent } from '../base/progress.js';
import { partHash } from '../workloads/prepared.js';
import type { Workload } from '../workloads/types.js';
import { assertTakes } from './check-recipe.js';
import { operator } from './index.js';
import { KEPT_STEPS, unpackStep } from './kept-steps.js';
import { describeModel } from './model-files.js';
import { stepsFor } from './steps-for.js';
import { hashFile, type Step, type Variant } from './variant.js';
import { keepStep, readKept, stepKey } from './variant-cache.js';

export interface BuildOptions {
  /** Where built variants are kept between runs. */
  readonly cache?: string;
  /** Where steps are looked up that the cache has not; by default what the project keeps. */
  readonly kept?: string;
  /** Called for each step once its key is known. */
  readonly onStep?: (step: { readonly step: Step; readonly key: string; readonly found: boolean }) => void;
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
  const steps = stepsFor(recipe, workload.name);
  if (!steps) return [];
  let variants: readonly Variant[] = [{ name, stages: [await describeModel(workload.modelPath)], steps: [] }];
  for (const step of steps) {
    const next: Variant[] = [];
    for (const variant of variants) next.push(...(await takeStep(workload, variant, step, options)));
    variants = next;
  }
  return variants;
}

async function fileHash(path: string, operator: string): Promise<string> {
  try {
    return (await hashFile(path)).sha256;
  } catch (error) {
    throw new TierbedError('missing', `${operator}: cannot read ${path}: ${messageOf(error)}`, {
      fix: 'Give the path of a file; in a recipe or a study it is relative to that file.',
      cause: error,
    });
  }
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
  for (const path of taken.files?.(step.options) ?? []) data.push(await fileHash(path, step.operator));
  const cache = options.cache ?? join(cacheDir(), 'variants');
  const key = stepKey(workload.name, variant, step, taken.version, data);
  const workDir = join(cache, 'training', key);
  const kept =
    (await readKept(join(cache, key), variant)) ?? (await unpackStep(options.kept ?? KEPT_STEPS, cache, key, variant));
  options.onStep?.({ step, key, found: kept !== undefined });
  const { tookMs, made } =
    kept ??
    (await keepStep(cache, key, variant, async (outDir) => {
      const startMs = performance.now();
      const context = { workload, outDir, workDir, threads, progress, signal };
      const made = await taken.apply(variant, step.options, context);
      return { tookMs: performance.now() - startMs, made };
    }));
  await rm(workDir, { recursive: true, force: true });
  return made.map(({ name, stages, facts = {} }): Variant => {
    const { operator, options } = step;
    const took = { operator, options, version: taken.version, tookMs, cached: kept !== undefined, facts };
    return { name, stages, steps: [...variant.steps, took] };
  });
}
