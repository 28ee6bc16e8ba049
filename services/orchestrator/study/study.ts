import { readFile } from 'node:fs/promises';
import { basename, dirname, extname, resolve } from 'node:path';
import { parseCheckedYaml, suggest, type YamlPath } from '../../../base/checked-yaml.js';
import { messageOf, TierbedError } from '../../../base/errors.js';
import { type RecipeChoice, stepsOf } from '../../../operators/recipe-schema.js';
import { resolvedSteps } from '../../../operators/resolve-steps.js';
import type { Step } from '../../../operators/variant.js';
import type { WorkloadSpec } from '../../../workloads/index.js';
import type { TraceFormat } from '../../link/traces/index.js';
import type { DirectionSettings, LinkName } from '../../link/types.js';
import {
  loadTierPreset,
  loadTiers,
  MIN_CPUS,
  MIN_MEMORY_MIB,
  scaleTiers,
  type TierName,
  type TierSet,
  type TierSettings,
  tierPresets,
} from '../tiers/tiers.js';
import { type HopFailurePolicy, hopFailureOf } from './failure-policy.js';
import { checkEncodings, type LinkEncodings } from './link-encodings.js';
import { studySchema } from './schema.js';
import type { TimelineEntry } from './timeline-entry.js';

export type SessionModeName = 'cold' | 'warm';
export type Payload = 'encoded' | 'tensor';

/** A trace as a study writes it: a file relative to the study. */
export interface TraceChoice {
  readonly file: string;
  readonly format?: TraceFormat;
  /** The file's SHA-256, in hexadecimal; the file is to be that one. */
  readonly sha256?: string;
}

/** One direction of a link as a study writes it. */
export interface DirectionChoice extends Omit<Partial<DirectionSettings>, 'trace'> {
  readonly trace?: string | TraceChoice;
}

/** A link as a study writes it. */
export interface LinkChoice extends DirectionChoice {
  readonly preset?: string;
  readonly up?: DirectionChoice;
  readonly down?: DirectionChoice;
}

/** A study with every default filled in: plain data, and all that a run depends on beside the files it names. */
export interface Study {
  readonly name: string;
  readonly seed: number;
  readonly workloads: Readonly<Record<string, WorkloadSpec>>;
  readonly recipes: Readonly<Record<string, readonly Step[]>>;
  readonly placements: readonly string[];
  readonly links: Readonly<Record<LinkName, LinkChoice>>;
  /** How tensors between stages are encoded on each link; a recipe's own choice goes before it. */
  readonly encodings: LinkEncodings;
  /** How far a link may be from what is set: this, or this share of it, whichever is more. What is absent is the runtime's. */
  readonly linkTolerance?: { readonly ms?: number; readonly percent?: number };
  readonly sessions: readonly SessionModeName[];
  readonly payload: Payload;
  /** Items of each workload: that many, drawn by the seed, or all of them. */
  readonly items: number | 'all';
  readonly rounds: number;
  readonly warmupRuns: number;
  readonly graphOptimization: boolean;
  readonly deadlineMs: number;
  /** As declared, before `scale`: `scaledTiers` gives what a run asks for. */
  readonly tiers: TierSet;
  /** What the CPUs and the memory of all tiers are multiplied by. */
  readonly scale: number;
  readonly onHopFailure: HopFailurePolicy;
  /** What happens while it is measured. */
  readonly timeline: readonly TimelineEntry[];
}

/** A study and the file it stands in. */
export interface StudyFile {
  readonly path: string;
  /** Relative paths in the study start here. */
  readonly baseDir: string;
  readonly study: Study;
  /** An error that begins with file, line and key. */
  errorAt(path: YamlPath, message: string, options?: { fix?: string; cause?: TierbedError }): TierbedError;
}

/** A study as its file has it. */
interface StudyChoices extends Partial<Omit<Study, 'recipes' | 'links' | 'onHopFailure' | 'tiers'>> {
  readonly workloads: Study['workloads'];
  readonly recipes: Readonly<Record<string, RecipeChoice>>;
  readonly placements: readonly string[];
  readonly links: Readonly<Record<LinkName, string | LinkChoice>>;
  readonly onHopFailure?: Partial<HopFailurePolicy>;
  readonly tiers?: Partial<Record<TierName, Partial<TierSettings>>> & { readonly preset?: string };
}

/** What the command line says beside the file. */
export interface StudyOverrides {
  /** In place of the study's own. */
  readonly scale?: number | undefined;
}

/**
 * Reads a study and fills in its defaults.
 *
 * @throws TierbedError `missing` when the file is not there; `invalid` with file, line, key and the values allowed
 */
export async function loadStudy(path: string, overrides: StudyOverrides = {}): Promise<StudyFile> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'ENOENT' ? 'there is no such file' : messageOf(error);
    throw new TierbedError('missing', `study ${path}: ${reason}`, {
      fix: 'Give the path of a study, e.g. studies/quickstart.yaml.',
    });
  });
  return parseStudy(text, path, overrides);
}

/** As `loadStudy`, of a study's text. */
export function parseStudy(text: string, path: string, overrides: StudyOverrides = {}): StudyFile {
  const { data, errorAt } = parseCheckedYaml<StudyChoices>(text, path, studySchema);
  const deadlineMs = data.deadlineMs ?? 120_000;
  const baseDir = dirname(resolve(path));
  const study: Study = {
    name: data.name ?? nameOf(path),
    seed: data.seed ?? 1,
    workloads: data.workloads,
    recipes: mapValues(data.recipes, (recipe, recipeName) => recipeOf(recipe, recipeName, baseDir, errorAt)),
    placements: data.placements,
    links: mapValues(data.links, (link) => (typeof link === 'string' ? { preset: link } : link)),
    encodings: data.encodings ?? {},
    ...(data.linkTolerance && { linkTolerance: data.linkTolerance }),
    sessions: data.sessions ?? ['cold', 'warm'],
    payload: data.payload ?? 'encoded',
    items: data.items ?? 'all',
    rounds: data.rounds ?? 1,
    warmupRuns: data.warmupRuns ?? 3,
    graphOptimization: data.graphOptimization ?? true,
    deadlineMs,
    onHopFailure: hopFailureOf(data.onHopFailure, deadlineMs),
    timeline: data.timeline ?? [],
    tiers: tiersOfStudy(data.tiers, errorAt),
    scale: overrides.scale ?? data.scale ?? 1,
  };
  checkScale(study, errorAt);
  checkEncodings(study.encodings, errorAt);
  return { path, baseDir, study, errorAt };
}

/** The tiers that a run asks its runtime for. */
export function scaledTiers({ tiers, scale }: Pick<Study, 'tiers' | 'scale'>): TierSet {
  return scaleTiers(tiers, scale);
}

/** The preset, or tiers/*.yaml, and over it what the study says of each tier. */
function tiersOfStudy(choice: StudyChoices['tiers'] = {}, errorAt: StudyFile['errorAt']): TierSet {
  const { preset, ...own } = choice;
  if (preset !== undefined && !tierPresets().includes(preset)) {
    const names = tierPresets();
    const message = `there is no set of tiers '${preset}'; allowed: ${names.join(', ')}`;
    throw errorAt(['tiers', 'preset'], message, suggest(preset, names));
  }
  const base = preset === undefined ? loadTiers() : loadTierPreset(preset);
  return mapValues(base, (settings, tier) => ({ ...settings, ...own[tier] }));
}

/** @throws TierbedError `invalid` when the scale leaves a tier with less than any node can live on */
function checkScale({ tiers, scale }: Study, errorAt: StudyFile['errorAt']): void {
  for (const [tier, { cpus, memoryMiB }] of Object.entries(scaleTiers(tiers, scale))) {
    if (cpus >= MIN_CPUS && memoryMiB >= MIN_MEMORY_MIB) continue;
    throw errorAt(['scale'], `at ${scale} the ${tier} tier has ${cpus} CPUs and ${memoryMiB} MiB`, {
      fix: `Scale by more: a tier needs ${MIN_MEMORY_MIB} MiB and ${MIN_CPUS} CPUs at least.`,
    });
  }
}

/** `quickstart` of `studies/quickstart.yaml`. */
function nameOf(path: string): string {
  return basename(path, extname(path)).replace(/[^A-Za-z0-9_-]/g, '-') || 'study';
}

function recipeOf(recipe: RecipeChoice, name: string, baseDir: string, errorAt: StudyFile['errorAt']): readonly Step[] {
  try {
    return resolvedSteps(stepsOf(recipe), baseDir);
  } catch (error) {
    if (!(error instanceof TierbedError)) throw error;
    throw errorAt(['recipes', name], error.message, { cause: error });
  }
}

function mapValues<K extends string, V, W>(record: Readonly<Record<K, V>>, map: (value: V, key: K) => W): Record<K, W> {
  return Object.fromEntries(Object.entries<V>(record).map(([key, value]) => [key, map(value, key as K)])) as Record<
    K,
    W
  >;
}
