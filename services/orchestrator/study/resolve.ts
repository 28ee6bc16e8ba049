import { createHash } from 'node:crypto';
import type { StrategyIdentity } from '../../../analysis/summary.js';
import { messageOf, TierbedError } from '../../../base/errors.js';
import { KeyedError } from '../../../base/keyed-error.js';
import type { Progress } from '../../../base/progress.js';
import { Random } from '../../../base/random.js';
import { checkStep } from '../../../operators/check-recipe.js';
import { buildVariants } from '../../../operators/recipe.js';
import type { Variant } from '../../../operators/variant.js';
import { loadWorkload } from '../../../workloads/index.js';
import type { UnreadableItem } from '../../../workloads/prepared.js';
import { createPreprocessor } from '../../../workloads/preprocess/index.js';
import type { Workload, WorkloadItem } from '../../../workloads/types.js';
import type { LinkSettings } from '../../link/types.js';
import type { PlanRule } from '../plan/plan.js';
import type { PlacedItem } from '../run/drive.js';
import { resolveLinks } from './links.js';
import { tiersOf } from './placements.js';
import type { SessionModeName, StudyFile } from './study.js';
import { resolveTimeline, type TimelineEvent } from './timeline-entry.js';

/** A variant on its tiers, in one session mode. */
export interface Strategy extends StrategyIdentity {
  readonly session: SessionModeName;
  readonly variant: Variant;
}

/** An item that was chosen, and how its bytes are read. */
export interface ChosenItem extends PlacedItem {
  readonly bytes: number;
  read(): Promise<Uint8Array>;
}

export interface ChosenWorkload {
  readonly workload: Workload;
  readonly items: readonly ChosenItem[];
  /** Of those that were drawn, the ones that cannot be read or prepared: no sample is planned of them. */
  readonly unreadable: readonly UnreadableItem[];
}

/** A study with all that it names at hand. */
export interface ResolvedStudy {
  readonly file: StudyFile;
  readonly workloads: readonly ChosenWorkload[];
  readonly strategies: readonly Strategy[];
  readonly links: readonly LinkSettings[];
  /** What happens while it is measured, in order. */
  readonly timeline: readonly TimelineEvent[];
  readonly rule: PlanRule;
}

/**
 * Loads the workloads, builds the variants and pairs them with the placements that they fit.
 *
 * @throws TierbedError with the study's file, line and key, when something that it names is not there or does not fit
 */
export async function resolveStudy(file: StudyFile, progress: Progress, signal: AbortSignal): Promise<ResolvedStudy> {
  checkRecipes(file);
  const links = resolveLinks(file);
  const timeline = resolveTimeline(file, links);
  const workloads: ChosenWorkload[] = [];
  const variants: { workload: string; recipe: string; variant: Variant }[] = [];
  for (const [name, spec] of Object.entries(file.study.workloads)) {
    const workload = await located(file, ['workloads', name], () =>
      loadWorkload(spec, { baseDir: file.baseDir, name, progress, signal }),
    );
    workloads.push({ workload, ...(await chooseItems(file, workload, progress, signal)) });
    for (const [recipe, steps] of Object.entries(file.study.recipes)) {
      const built = await located(file, ['recipes', recipe], () =>
        buildVariants(workload, recipe, steps, { progress, signal }),
      );
      variants.push(...built.map((variant) => ({ workload: name, recipe, variant })));
    }
  }
  const strategies = pair(file, variants);
  const rule = {
    seed: file.study.seed,
    rounds: file.study.rounds,
    workloads: workloads.map(({ workload, items }) => ({
      items: items.length,
      strategies: strategies.flatMap((strategy, index) => (strategy.workload === workload.name ? [index] : [])),
    })),
  };
  return { file, workloads, strategies, links, timeline, rule };
}

/**
 * Checks all of a study that can be checked without building anything: links, options of operators, and the files that
 * its workloads name.
 *
 * @throws TierbedError with the study's file, line and key
 */
export async function checkStudy(file: StudyFile, progress: Progress, signal: AbortSignal): Promise<void> {
  checkRecipes(file);
  resolveLinks(file);
  for (const [name, spec] of Object.entries(file.study.workloads)) {
    if ('use' in spec) continue;
    const load = () => loadWorkload(spec, { baseDir: file.baseDir, name, progress, signal });
    await located(file, ['workloads', name], load);
  }
}

function checkRecipes(file: StudyFile): void {
  const workloads = Object.keys(file.study.workloads);
  for (const [name, steps] of Object.entries(file.study.recipes)) {
    for (const i of steps.keys()) {
      try {
        checkStep(steps, i, workloads);
      } catch (error) {
        throw relocated(file, ['recipes', name, i], error);
      }
    }
  }
}

/** Variants on every placement with as many tiers as they have stages; with exits also on one tier, that runs all stages. */
function pair(
  file: StudyFile,
  variants: readonly { workload: string; recipe: string; variant: Variant }[],
): readonly Strategy[] {
  const { placements, sessions, recipes } = file.study;
  const fits = ({ stages }: Variant, placement: string): boolean => {
    const tiers = tiersOf(placement).length;
    return stages.length === tiers || (tiers === 1 && stages.some(({ exit }) => exit !== undefined));
  };
  for (const recipe of Object.keys(recipes)) {
    const mine = variants.filter((candidate) => candidate.recipe === recipe);
    if (mine.some(({ variant }) => placements.some((placement) => fits(variant, placement)))) continue;
    const stages = [...new Set(mine.map(({ variant }) => variant.stages.length))].join(' or ') || 'no';
    throw file.errorAt(['recipes', recipe], `its variants have ${stages} stages, and no placement has as many tiers`, {
      fix: 'Add a placement with one tier for each stage, or leave the recipe out.',
    });
  }
  for (const [i, placement] of placements.entries()) {
    if (variants.some(({ variant }) => fits(variant, placement))) continue;
    const tiers = tiersOf(placement).length;
    throw file.errorAt(['placements', i], `${placement} has ${tiers} tiers, and no recipe gives ${tiers} stages`, {
      fix: 'Add a recipe that cuts the model, e.g. `halves: [{ partition: { at: [TENSOR] } }]`, or leave the placement out.',
    });
  }
  return variants.flatMap(({ workload, variant }) =>
    placements
      .filter((placement) => fits(variant, placement))
      .flatMap((placement) =>
        sessions.map((session) => {
          const id = [workload, variant.name, placement, session].join('.');
          const exits = variant.stages.flatMap(({ exit }, stage) => (exit ? [stage] : []));
          const identity = { id, workload, recipe: variant.name, placement, session };
          return { ...identity, ...(exits.length > 0 && { exits }), variant };
        }),
      ),
  );
}

/**
 * The study's number of items, drawn without repetition by its seed and kept in the data set's order, each read, hashed
 * and prepared once: a small share of what the samples take, and what fails at it would fail in every one of them.
 */
async function chooseItems(
  file: StudyFile,
  workload: Workload,
  progress: Progress,
  signal: AbortSignal,
): Promise<Omit<ChosenWorkload, 'workload'>> {
  const { items: wanted, seed } = file.study;
  const available = workload.items.length;
  if (wanted !== 'all' && wanted > available) {
    throw file.errorAt(['items'], `${wanted} items, but the workload '${workload.name}' has ${available}`, {
      fix: `Use at most ${available}, or 'all'.`,
    });
  }
  const all = Array.from({ length: available }, (_, i) => i);
  const drawn = new Random(seed).fork(`items of ${workload.name}`).shuffle(all);
  const chosen = drawn.slice(0, wanted === 'all' ? available : wanted).sort((a, b) => a - b);
  const preprocess = createPreprocessor(workload.preprocess);
  const items: ChosenItem[] = [];
  const unreadable: UnreadableItem[] = [];
  let summary: string | undefined;
  progress.start(`reading the items of ${workload.name}`, chosen.length);
  try {
    for (const index of chosen) {
      if (signal.aborted) throw new TierbedError('cancelled', 'the run was stopped');
      const item = workload.items[index] as WorkloadItem;
      const { id, label } = item;
      try {
        const bytes = await item.read();
        await preprocess(bytes);
        const sha256 = createHash('sha256').update(bytes).digest('hex');
        items.push({ id, label, sha256, bytes: bytes.byteLength, read: () => item.read() });
      } catch (error) {
        unreadable.push({ id, reason: messageOf(error) });
      }
      progress.update(items.length + unreadable.length);
    }
    const [first] = unreadable;
    if (first) summary = `${unreadable.length} of ${chosen.length} items cannot be read: ${first.id} (${first.reason})`;
    if (first && items.length === 0) {
      throw file.errorAt(
        ['workloads', workload.name],
        `none of its ${chosen.length} items can be read: ${first.reason}`,
      );
    }
  } finally {
    progress.stop(summary);
  }
  return { items, unreadable };
}

async function located<T>(file: StudyFile, path: readonly string[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw relocated(file, path, error);
  }
}

/** The same error, with the place in the study that led to it. */
function relocated(file: StudyFile, path: readonly (string | number)[], error: unknown): unknown {
  if (!(error instanceof TierbedError) || error.kind === 'cancelled') return error;
  return file.errorAt([...path, ...(error instanceof KeyedError ? error.path : [])], error.message, { cause: error });
}
