import { readFile } from 'node:fs/promises';
import { basename, dirname, extname, resolve } from 'node:path';
import { messageOf, TierbedError } from '../../base/errors.js';
import type { Step } from '../../operators/variant.js';
import type { WorkloadSpec } from '../../workloads/index.js';
import type { DirectionSettings, LinkName } from '../link/types.js';
import { parseCheckedYaml, type YamlPath } from './checked-yaml.js';
import { type HopFailurePolicy, hopFailureOf } from './failure-policy.js';
import { studySchema } from './study-schema.js';
import { loadTiers, TIER_NAMES, type TierName, type TierSettings } from './tiers.js';
import type { TimelineEntry } from './timeline-entry.js';

export type SessionModeName = 'cold' | 'warm';
export type Payload = 'encoded' | 'tensor';

/** A link as a study writes it. */
export interface LinkChoice extends Partial<DirectionSettings> {
  readonly preset?: string;
  readonly up?: Partial<DirectionSettings>;
  readonly down?: Partial<DirectionSettings>;
}

/** A study with every default filled in: plain data, and all that a run depends on beside the files it names. */
export interface Study {
  readonly name: string;
  readonly seed: number;
  readonly workloads: Readonly<Record<string, WorkloadSpec>>;
  readonly recipes: Readonly<Record<string, readonly Step[]>>;
  readonly placements: readonly string[];
  readonly links: Readonly<Record<LinkName, LinkChoice>>;
  /** How far a link may be from what is set: this, or this share of it, whichever is more. */
  readonly linkTolerance: { readonly ms: number; readonly percent: number };
  readonly sessions: readonly SessionModeName[];
  readonly payload: Payload;
  /** Items of each workload: that many, drawn by the seed, or all of them. */
  readonly items: number | 'all';
  readonly rounds: number;
  readonly warmupRuns: number;
  readonly graphOptimization: boolean;
  readonly deadlineMs: number;
  readonly onHopFailure: HopFailurePolicy;
  /** What happens while it is measured. */
  readonly timeline: readonly TimelineEntry[];
  readonly tiers: Readonly<Record<TierName, TierSettings>>;
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

const LINK_TOLERANCE: Study['linkTolerance'] = { ms: 1, percent: 3 };

type StepChoice = string | Readonly<Record<string, Readonly<Record<string, unknown>> | null>>;

/** A study as its file has it. */
interface StudyChoices extends Partial<Omit<Study, 'recipes' | 'links' | 'linkTolerance' | 'onHopFailure' | 'tiers'>> {
  readonly workloads: Study['workloads'];
  readonly recipes: Readonly<Record<string, readonly StepChoice[]>>;
  readonly placements: readonly string[];
  readonly links: Readonly<Record<LinkName, string | LinkChoice>>;
  readonly linkTolerance?: Partial<Study['linkTolerance']>;
  readonly onHopFailure?: Partial<HopFailurePolicy>;
  readonly tiers?: Partial<Record<TierName, Partial<TierSettings>>>;
}

/**
 * Reads a study and fills in its defaults.
 *
 * @throws TierbedError `missing` when the file is not there; `invalid` with file, line, key and the values allowed
 */
export async function loadStudy(path: string): Promise<StudyFile> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'ENOENT' ? 'there is no such file' : messageOf(error);
    throw new TierbedError('missing', `study ${path}: ${reason}`, {
      fix: 'Give the path of a study, e.g. studies/quickstart.yaml.',
    });
  });
  return parseStudy(text, path);
}

/** As `loadStudy`, of a study's text. */
export function parseStudy(text: string, path: string): StudyFile {
  const { data, errorAt } = parseCheckedYaml<StudyChoices>(text, path, studySchema);
  const tiers = loadTiers();
  const deadlineMs = data.deadlineMs ?? 120_000;
  const study: Study = {
    name: data.name ?? nameOf(path),
    seed: data.seed ?? 1,
    workloads: data.workloads,
    recipes: mapValues(data.recipes, (steps) => steps.map(stepOf)),
    placements: data.placements,
    links: mapValues(data.links, (link) => (typeof link === 'string' ? { preset: link } : link)),
    linkTolerance: { ...LINK_TOLERANCE, ...data.linkTolerance },
    sessions: data.sessions ?? ['cold', 'warm'],
    payload: data.payload ?? 'encoded',
    items: data.items ?? 'all',
    rounds: data.rounds ?? 1,
    warmupRuns: data.warmupRuns ?? 3,
    graphOptimization: data.graphOptimization ?? true,
    deadlineMs,
    onHopFailure: hopFailureOf(data.onHopFailure, deadlineMs),
    timeline: data.timeline ?? [],
    tiers: Object.fromEntries(TIER_NAMES.map((t) => [t, { ...tiers[t], ...data.tiers?.[t] }])) as Study['tiers'],
  };
  return { path, baseDir: dirname(resolve(path)), study, errorAt };
}

/** `quickstart` of `studies/quickstart.yaml`. */
function nameOf(path: string): string {
  return basename(path, extname(path)).replace(/[^A-Za-z0-9_-]/g, '-') || 'study';
}

function stepOf(choice: StepChoice): Step {
  if (typeof choice === 'string') return { operator: choice, options: {} };
  const [operator, options] = Object.entries(choice)[0] as [string, Step['options'] | null];
  return { operator, options: options ?? {} };
}

function mapValues<K extends string, V, W>(record: Readonly<Record<K, V>>, map: (value: V) => W): Record<K, W> {
  return Object.fromEntries(Object.entries<V>(record).map(([key, value]) => [key, map(value)])) as Record<K, W>;
}
