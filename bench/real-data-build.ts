import { createHash } from 'node:crypto';
import type { Progress } from '../base/progress.js';
import { evaluate } from '../operators/evaluate.js';
import { buildVariants } from '../operators/recipe.js';
import type { Variant } from '../operators/variant.js';
import type { Workload } from '../workloads/types.js';
import { addLine, found, type Line, type Run, type RunId } from './real-data-runs.js';
import type { KeyedRecipe } from './real-data-sets.js';

/** All of the bench is on one thread: as many of it as there are processors can run beside each other. */
export const THREADS = 1;

export interface Context {
  /** The file of what was found. */
  readonly runs: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** The variant of a recipe: out of the cache where it was built before. */
export async function built(workload: Workload, recipe: KeyedRecipe, context: Context): Promise<Variant> {
  const { progress, signal } = context;
  const [variant] = await buildVariants(workload, recipe.name, recipe.steps, { threads: THREADS, progress, signal });
  return variant as Variant;
}

/** Makes and evaluates those variants of a seed that are not among the lines yet. @returns the lines with the new ones */
export async function buildSeed(
  workload: Workload,
  seed: number,
  recipes: readonly KeyedRecipe[],
  known: readonly Line[],
  context: Context,
): Promise<Line[]> {
  const lines = [...known];
  for (const recipe of recipes) {
    const id: RunId = { side: 'tierbed', data: workload.name, operator: recipe.name, seed, key: recipe.key };
    if (found(lines, 'accuracy', id)) continue;
    const startMs = performance.now();
    const variant = await built(workload, recipe, context);
    const models = hashOf(variant);
    const same = lines.find((line): line is Run => line.kind === 'accuracy' && line.models === models);
    const { accuracy, items } = same ?? (await score(workload, variant, context));
    const files = variant.stages.flatMap((stage) => stage.files);
    const line: Run = {
      ...{ kind: 'accuracy', ...id, accuracy, items, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) },
      ...{ seconds: (performance.now() - startMs) / 1000, models },
    };
    await addLine(context.runs, line);
    process.stderr.write(`${JSON.stringify(line)}\n`);
    lines.push(line);
  }
  return lines;
}

async function score(workload: Workload, { stages }: Variant, { progress, signal }: Context) {
  const { value, n } = await evaluate(workload, stages, 'evaluation', { threads: THREADS, progress, signal });
  return { accuracy: 100 * (value ?? Number.NaN), items: n };
}

function hashOf({ stages }: Variant): string {
  const files = stages.map((stage) => stage.files.map(({ sha256 }) => sha256));
  return createHash('sha256').update(JSON.stringify(files)).digest('hex').slice(0, 16);
}
