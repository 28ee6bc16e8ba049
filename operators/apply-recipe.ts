import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TierbedError } from '../base/errors.js';
import { type Progress, silent } from '../base/progress.js';
import { runtimeVersion } from '../onnx/runtime/version.js';
import { metricOf } from '../workloads/metrics/index.js';
import { worsening } from '../workloads/metrics/worsening.js';
import { firstInputs } from '../workloads/prepared.js';
import type { Workload } from '../workloads/types.js';
import { checkRecipe } from './check-recipe.js';
import { evaluate, type Score } from './evaluate.js';
import { figuresOf } from './figures.js';
import { type Manifest, type ManifestScores, manifestOf } from './manifest.js';
import { describeModel } from './model-files.js';
import { MANIFEST_FILE, prepareOutput, writing } from './output-folder.js';
import { buildVariants } from './recipe.js';
import { writeStepCurves } from './train/step-curves.js';
import type { StageModel, Step, Variant } from './variant.js';
import { writeStages } from './write-variant.js';

export interface ApplyOptions {
  /** The folder for the variant, or for a folder of each where the recipe makes several. */
  readonly out: string;
  /** Replaces the variants that are there. */
  readonly force?: boolean;
  /** false: nothing is evaluated, and the manifest has no accuracy. */
  readonly evaluate?: boolean;
  /** Threads for running models; 0, the default, is one for each processor. */
  readonly threads?: number;
  /** Where built variants are kept between runs. */
  readonly cache?: string;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}

/** A variant that was written. */
export interface Applied {
  readonly folder: string;
  readonly manifest: Manifest;
}

/**
 * Takes a workload's model through a recipe and writes what comes of it: models and a manifest, whole or not at all.
 *
 * @throws TierbedError `refused` when the folder is not empty, `exhausted` when the disk is full, `invalid` when the
 *   recipe makes no sense, does not fit the model, or no item can be read; `cancelled` when `signal` says so
 */
export async function applyRecipe(
  workload: Workload,
  recipe: { readonly name: string; readonly steps: readonly Step[] },
  options: ApplyOptions,
): Promise<readonly Applied[]> {
  const { threads = 0, progress = silent, signal, cache } = options;
  const running = { threads, progress, ...(signal && { signal }) };
  const began = performance.now();
  checkRecipe(recipe.steps, [workload.name]);
  const output = await prepareOutput(options.out, options.force === true);
  try {
    const input = await describeModel(workload.modelPath);
    const item = await firstInputs(workload, 'evaluation', signal);
    const [figures] = await figuresOf([input], item);
    if (!figures) throw new TierbedError('internal', 'a model has no figures');
    const variants = await buildVariants(workload, recipe.name, recipe.steps, { ...running, ...(cache && { cache }) });
    if (variants.length === 0) {
      throw new TierbedError('invalid', `${recipe.name} makes nothing of the workload '${workload.name}'`, {
        fix: 'Give its operators options for this workload.',
      });
    }
    const buildMs = performance.now() - began;
    const before = options.evaluate === false ? undefined : await score(workload, [input], running);
    const made: { folder: string; manifest: Manifest }[] = [];
    for (const { variant, folder } of named(variants)) {
      const building = join(output.building, folder);
      const stages = await writing(options.out, async () => {
        await mkdir(building, { recursive: true });
        const written = await writeStages(variant.stages, building);
        await writeStepCurves(variant.steps, building, metricOf(workload).title);
        return written;
      });
      const stageFigures = await figuresOf(stages, item);
      const after = before && (await score(workload, stages, running));
      const manifest = manifestOf({
        ...{ workload, variant, threads, runtime: await runtimeVersion(), createdAt: new Date() },
        input: { stage: input, figures },
        stages: stages.map((stage, i) => ({ stage, figures: stageFigures[i] as (typeof stageFigures)[number] })),
        scores: before && after && compared(workload, before, after),
        cost: {
          ...{ wallMs: performance.now() - began, buildMs, evaluateMs: (before?.tookMs ?? 0) + (after?.tookMs ?? 0) },
          peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
        },
      });
      const text = `${JSON.stringify(manifest, null, 2)}\n`;
      await writing(options.out, () => writeFile(join(building, MANIFEST_FILE), text));
      made.push({ folder: join(options.out, folder), manifest });
    }
    if (signal?.aborted) throw new TierbedError('cancelled', 'cancelled before anything was written');
    await output.publish();
    return made;
  } finally {
    await output.discard();
  }
}

function compared(workload: Workload, before: Score, after: Score): ManifestScores {
  const measured = metricOf(workload);
  return { before, after, unit: measured.unit, drop: worsening(measured, before.value, after.value) };
}

/** The workload's metric of a chain, and how long it took. @throws TierbedError `invalid` when no item can be read */
async function score(
  workload: Workload,
  stages: readonly StageModel[],
  options: { readonly threads: number; readonly progress: Progress; readonly signal?: AbortSignal },
): Promise<Score & { readonly tookMs: number }> {
  const startMs = performance.now();
  const found = await evaluate(workload, stages, 'evaluation', options);
  const [first] = found.unreadable;
  if (found.n === 0 && first) {
    throw new TierbedError('invalid', `no item of ${workload.name} can be read; ${first.id}: ${first.reason}`, {
      fix: "Check the workload's data and preprocess.",
    });
  }
  return { ...found, tookMs: performance.now() - startMs };
}

/** Each variant with its folder: none of its own for one alone, else one with its name. */
function named(variants: readonly Variant[]): readonly { readonly variant: Variant; readonly folder: string }[] {
  if (variants.length === 1) return [{ variant: variants[0] as Variant, folder: '' }];
  const taken = new Set<string>();
  return variants.map((variant) => {
    const plain = variant.name.replace(/[^A-Za-z0-9._+-]/g, '-').replace(/^\.+/, '') || 'variant';
    let folder = plain;
    for (let i = 2; taken.has(folder); i++) folder = `${plain}-${i}`;
    taken.add(folder);
    return { variant, folder };
  });
}
