import { TierbedError } from '../../base/errors.js';
import { type LessonOptions, lessonProperties } from '../distill/options.js';
import { refuseAugmented, refuseSilence, refuseUnused as refuseUnusedLessons } from '../distill/plan.js';
import { trainSettingsProperties } from '../train/settings-schema.js';
import type { TrainSettings } from '../train/types.js';
import type { GroupKind } from './groups.js';
import type { CostName } from './kept-share.js';
import { type Pattern, parsePattern } from './pattern.js';
import { PRESETS, type PresetName } from './presets.js';
import { GROWTH_SHAPES, type PruneSchedule } from './schedule.js';
import type { UnitScore } from './structured.js';
import type { WeightScore } from './unstructured.js';

/** The share that is kept at most, of one cost. */
export type Target = { readonly [K in CostName]?: number };

export interface PruneOptions {
  /** Settings to begin with; what is given besides replaces them. */
  readonly preset?: PresetName;
  /** `structured`, the default: channels, neurons and heads are removed. `unstructured`: weights are set to zero. */
  readonly kind?: 'structured' | 'unstructured';
  /** The share that goes: of units, or of weights. */
  readonly sparsity?: number;
  /** In place of `sparsity`, of `structured`: the share of a cost that is kept at most. */
  readonly target?: Target;
  readonly score?: UnitScore | WeightScore;
  readonly scope?: 'layer' | 'global';
  readonly pattern?: string;
  readonly mostOfLayer?: number;
  readonly units?: readonly GroupKind[];
  readonly atLeast?: number;
  readonly multipleOf?: number;
  /** Names of weights (`*` stands for any text) whose layers are left as they are. */
  readonly exclude?: readonly string[];
  readonly schedule?: PruneSchedule;
  readonly batchNorm?: 'batch' | 'frozen';
  readonly train?: TrainSettings | false;
  /** The model as it was before teaches what is left of it, meanwhile. */
  readonly distill?: LessonOptions | boolean;
}

const share = { type: 'number', minimum: 0, maximum: 1 };
const kept = { type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1 };
const whole = { type: 'integer', minimum: 1 };
const KINDS: readonly GroupKind[] = ['channels', 'neurons', 'heads', 'features'];
const UNIT_SCORES: readonly UnitScore[] = ['l1', 'l2', 'bn-scale', 'taylor'];
const WEIGHT_SCORES: readonly WeightScore[] = ['magnitude', 'snip-momentum'];

export const pruneSchema = {
  type: ['object', 'null'],
  properties: {
    preset: { enum: Object.keys(PRESETS) },
    kind: { enum: ['structured', 'unstructured'] },
    sparsity: share,
    target: {
      type: 'object',
      properties: { macs: kept, parameters: kept },
      additionalProperties: false,
      minProperties: 1,
      maxProperties: 1,
    },
    score: { enum: [...UNIT_SCORES, ...WEIGHT_SCORES] },
    scope: { enum: ['layer', 'global'] },
    pattern: { type: 'string', minLength: 1 },
    mostOfLayer: share,
    units: { type: 'array', minItems: 1, uniqueItems: true, items: { enum: KINDS } },
    atLeast: whole,
    multipleOf: whole,
    exclude: { type: 'array', items: { type: 'string', minLength: 1 } },
    schedule: {
      type: 'object',
      properties: { shape: { enum: GROWTH_SHAPES }, start: share, end: share, every: whole },
      additionalProperties: false,
    },
    batchNorm: { enum: ['batch', 'frozen'] },
    train: { type: ['object', 'boolean'], properties: trainSettingsProperties, additionalProperties: false },
    distill: { type: ['object', 'boolean'], properties: lessonProperties, additionalProperties: false },
  },
  additionalProperties: false,
};

/** What both kinds have. */
interface Shared {
  /** The share that goes: of units or weights, or of what the target counts. */
  readonly sparsity: number;
  readonly scope: 'layer' | 'global';
  readonly exclude: readonly string[];
  readonly schedule: PruneSchedule;
  readonly batchNorm: 'batch' | 'frozen';
  /** undefined: not told, so trained where there is data. */
  readonly train: TrainSettings | false | undefined;
  /** What the model as it was before teaches; undefined: it teaches nothing. */
  readonly distill?: LessonOptions;
}

/** Options with every default in its place. */
export type PrunePlan = Shared &
  (
    | {
        readonly kind: 'structured';
        readonly score: UnitScore;
        readonly units: readonly GroupKind[];
        readonly atLeast: number;
        readonly multipleOf: number | undefined;
        /** What the share is of, where it is not units. */
        readonly target?: { readonly cost: CostName; readonly kept: number };
      }
    | {
        readonly kind: 'unstructured';
        readonly score: WeightScore;
        readonly pattern: Pattern;
        readonly patternText: string;
        readonly mostOfLayer: number;
      }
  );

const OF_STRUCTURED: readonly (keyof PruneOptions)[] = ['units', 'atLeast', 'multipleOf', 'target'];
const OF_TRAINING: readonly (keyof PruneOptions)[] = ['schedule', 'batchNorm', 'distill'];
const OF_UNSTRUCTURED: readonly (keyof PruneOptions)[] = ['pattern', 'mostOfLayer'];

/** @throws TierbedError `invalid` for options that do not go together, and a sparsity that leaves all or nothing */
export function prunePlan(options: PruneOptions | null | undefined): PrunePlan {
  const given = options ?? {};
  const chosen: PruneOptions = { ...(given.preset && PRESETS[given.preset]), ...given };
  const {
    kind = 'structured',
    scope = kind === 'structured' ? 'layer' : 'global',
    exclude = [],
    schedule = {},
  } = chosen;
  const { batchNorm = 'batch', train } = chosen;
  const foreign = (kind === 'structured' ? OF_UNSTRUCTURED : OF_STRUCTURED).find((name) => given[name] !== undefined);
  if (foreign) {
    const other = kind === 'structured' ? 'unstructured' : 'structured';
    throw wrong(
      `\`${foreign}\` is for \`kind: ${other}\`, and this is ${kind}`,
      `Leave it out, or set kind to ${other}.`,
    );
  }
  refuseUnused(kind, given, chosen);
  const { start = 0, end = 0.6 } = schedule;
  if (schedule.shape !== 'once' && start >= end) {
    throw wrong(
      `the schedule ends at ${end}, and begins at ${start}`,
      'Let `end` be behind `start`; both are shares of the training.',
    );
  }
  const settings = asSettings(train, given);
  const distill = settings === false ? undefined : asLessons(given);
  if (settings !== false && distill) {
    refuseSilence(distill);
    refuseUnusedLessons(distill, settings);
    refuseAugmented(distill, settings);
  }
  const shared = { scope, exclude, schedule, batchNorm, train: settings, ...(distill && { distill }) };
  if (kind === 'structured') {
    const { score = 'l2', units = ['channels', 'neurons', 'heads'], atLeast = 1, multipleOf } = chosen;
    if (!isOneOf(score, UNIT_SCORES)) throw wrongScore(score, kind, UNIT_SCORES);
    const target = targetOf(chosen);
    const sparsity = target ? 1 - target.kept : sparsityOf(chosen.sparsity);
    return { ...shared, kind, sparsity, score, units, atLeast, multipleOf, ...(target && { target }) };
  }
  const { score = 'magnitude', pattern: patternText = '1x1', mostOfLayer = 0.98 } = chosen;
  if (!isOneOf(score, WEIGHT_SCORES)) throw wrongScore(score, kind, WEIGHT_SCORES);
  const pattern = parsePattern(patternText);
  const sparsity = sparsityOf(runSparsity(pattern, patternText, given.sparsity) ?? chosen.sparsity);
  if (pattern.kind === 'block' && sparsity > mostOfLayer) {
    throw wrong(
      `a sparsity of ${sparsity} is more than the ${mostOfLayer} that a layer may lose`,
      'Ask for less, or raise `mostOfLayer`.',
    );
  }
  return { ...shared, kind, sparsity, score, pattern, patternText, mostOfLayer };
}

/** As `asSettings`, of what the model as it was before teaches. */
function asLessons({ preset, distill: own }: PruneOptions): LessonOptions | undefined {
  const base = preset && PRESETS[preset].distill;
  if (own === false || (own === undefined && !base)) return undefined;
  return { ...base, ...(typeof own === 'object' && own) };
}

/** @throws TierbedError `invalid` for options that were given, and would have no effect beside the others */
function refuseUnused(kind: 'structured' | 'unstructured', given: PruneOptions, chosen: PruneOptions): void {
  const untrained =
    chosen.train === false && OF_TRAINING.find((name) => given[name] !== undefined && given[name] !== false);
  if (untrained)
    throw wrong(`\`${untrained}\` is for training, and \`train: false\` has none`, 'Leave one of the two out.');
  if (given.schedule?.shape === 'once') {
    // Units are removed before training, unless their scores come with it.
    const atStart = kind === 'structured' && chosen.score !== 'taylor';
    const unused = (['end', 'every', ...(atStart ? (['start'] as const) : [])] as const).find(
      (name) => given.schedule?.[name] !== undefined,
    );
    const when = atStart ? 'before training' : 'at its start';
    if (unused)
      throw wrong(`\`schedule.${unused}\` has no use: with \`shape: once\` all goes ${when}`, 'Leave it out.');
  }
  if (kind === 'structured' || parsePattern(chosen.pattern ?? '1x1').kind !== 'run') return;
  if (given.mostOfLayer === undefined && given.scope !== 'global') return;
  const unused = given.mostOfLayer === undefined ? 'scope: global' : 'mostOfLayer';
  throw wrong(
    `\`${unused}\` has no use: the pattern ${chosen.pattern} takes the same share of every layer`,
    'Leave it out, or use a pattern of blocks, as `2x1`.',
  );
}

/** Training settings of a preset stand for what is not given of them. */
function asSettings(
  train: TrainSettings | boolean | undefined,
  { preset, train: own }: PruneOptions,
): TrainSettings | false | undefined {
  if (train === true) return {};
  if (!train || !preset || own === undefined) return train;
  return { ...PRESETS[preset].train, ...train };
}

/** N:M says what share goes by itself. */
function runSparsity(pattern: Pattern, text: string, given: number | undefined): number | undefined {
  if (pattern.kind !== 'run') return undefined;
  const own = 1 - pattern.stay / pattern.of;
  if (given === undefined || Math.abs(given - own) < 1e-6) return own;
  throw wrong(
    `the pattern ${text} takes ${own} of the weights, and the sparsity asked for is ${given}`,
    'Leave `sparsity` out.',
  );
}

function targetOf({ target, sparsity }: PruneOptions): { cost: CostName; kept: number } | undefined {
  const [named] = Object.entries(target ?? {}) as [CostName, number][];
  if (!named) return undefined;
  const [cost, kept] = named;
  if (sparsity === undefined) return { cost, kept };
  throw wrong(
    `\`sparsity: ${sparsity}\` is the share of the units that goes, and \`target.${cost}: ${kept}\` is what they are chosen for`,
    'Give one of the two.',
  );
}

function sparsityOf(sparsity: number | undefined): number {
  if (sparsity === undefined)
    throw wrong(
      'no sparsity is given',
      'Say which share goes, as `sparsity: 0.5`; or what is to be left, as `target: { macs: 0.5 }`.',
    );
  if (sparsity === 0) {
    throw wrong('a sparsity of 0 removes nothing', 'Leave the step out, or use `identity` for the model as it is.');
  }
  if (sparsity === 1) throw wrong('a sparsity of 1 leaves nothing', 'Give the share that goes, below 1, as 0.5.');
  return sparsity;
}

function isOneOf<T extends string>(name: string, names: readonly T[]): name is T {
  return (names as readonly string[]).includes(name);
}

function wrongScore(score: string, kind: string, names: readonly string[]): TierbedError {
  return wrong(`\`score: ${score}\` is not for \`kind: ${kind}\``, `Use one of: ${names.join(', ')}.`);
}

function wrong(message: string, fix: string): TierbedError {
  return new TierbedError('invalid', `prune: ${message}`, { fix });
}
