import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { TierbedError } from '../base/errors.js';
import { cacheDir } from '../base/paths.js';
import { type Progress, silent } from '../base/progress.js';
import { partHash } from '../workloads/prepared.js';
import type { Workload } from '../workloads/types.js';
import { operator } from './index.js';
import { describeModel } from './model-files.js';
import { hashFile, type ModelFile, type StageModel, type Step, type Variant } from './variant.js';

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
 * @throws TierbedError whatever an operator throws; `cancelled` when `signal` says so
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
  const signal = options.signal ?? new AbortController().signal;
  if (signal.aborted) throw new TierbedError('cancelled', 'cancelled while models were built');
  const { version, apply, reads } = operator(step.operator);
  const data: string[] = [];
  for (const part of reads?.(step.options) ?? []) data.push(await partHash(workload, part, signal));
  const cache = options.cache ?? join(cacheDir(), 'variants');
  const folder = join(cache, cacheKey(workload, variant, step, version, data));
  const cached = await readCached(folder);
  if (cached) return cached;
  await mkdir(cache, { recursive: true });
  const outDir = await mkdtemp(join(cache, 'building-'));
  const inFolder = (path: string): string => {
    const inside = relative(outDir, path);
    return inside.startsWith('..') || isAbsolute(inside) ? path : inside;
  };
  try {
    const startMs = performance.now();
    const context = {
      ...{ workload, outDir, threads: options.threads ?? 0, progress: options.progress ?? silent, signal },
    };
    const results = await apply(variant, step.options, context);
    const tookMs = performance.now() - startMs;
    const made = results.map(({ name, stages, facts = {} }): Variant => {
      return { name, stages, steps: [...variant.steps, { ...step, version, tookMs, facts }] };
    });
    await writeFile(join(outDir, CACHE_ENTRY), JSON.stringify(moved(made, inFolder), null, 2));
    await publish(outDir, folder);
    return moved(made, (path) => resolve(folder, inFolder(path)));
  } finally {
    await rm(outDir, { recursive: true, force: true });
  }
}

/** Gives a built folder its name, unless another process was first: what that built is as good, if it is whole. */
async function publish(built: string, folder: string): Promise<void> {
  const taken = (error: NodeJS.ErrnoException): true => {
    if (error.code === 'ENOTEMPTY' || error.code === 'EEXIST') return true;
    throw error;
  };
  if (!(await rename(built, folder).catch(taken))) return;
  if (await readCached(folder)) return;
  await rm(folder, { recursive: true, force: true });
  await rename(built, folder).catch(taken);
}

const CACHE_ENTRY = 'variants.json';

/** Everything that what a step makes depends on. */
function cacheKey(workload: Workload, variant: Variant, step: Step, version: number, data: readonly string[]): string {
  const stages = variant.stages.map(({ files, ...rest }) => ({
    ...rest,
    files: files.map(({ name, sha256 }) => [name, sha256]),
  }));
  const steps = variant.steps.map(({ operator, options, version }) => ({ operator, options, version }));
  const input = { name: variant.name, stages, steps, workload: workload.name, step, version, data };
  return createHash('sha256').update(JSON.stringify(input)).digest('hex').slice(0, 40);
}

/** The variants kept in a folder, or undefined when it is not there or a file of theirs is not what it was. */
async function readCached(folder: string): Promise<Variant[] | undefined> {
  let entry: Variant[];
  try {
    entry = JSON.parse(await readFile(join(folder, CACHE_ENTRY), 'utf8')) as Variant[];
  } catch {
    return undefined;
  }
  const variants = moved(entry, (path) => resolve(folder, path));
  for (const file of variants.flatMap(({ stages }) => stages.flatMap(({ files }) => files))) {
    const found = await hashFile(file.path).catch(() => undefined);
    if (found?.sha256 !== file.sha256) return undefined;
  }
  return variants;
}

/** The variants with every file's path replaced. */
function moved(variants: readonly Variant[], move: (path: string) => string): Variant[] {
  const file = (f: ModelFile): ModelFile => ({ ...f, path: move(f.path) });
  const stage = (s: StageModel): StageModel => ({ ...s, files: s.files.map(file) });
  return variants.map((variant) => ({ ...variant, stages: variant.stages.map(stage) }));
}
