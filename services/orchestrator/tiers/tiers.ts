import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse } from 'yaml';
import { type CheckedYaml, parseCheckedYaml } from '../../../base/checked-yaml.js';
import { packageRoot } from '../../../base/paths.js';

/** The tiers, from the device outwards. */
export const TIER_NAMES = ['mobile', 'edge', 'cloud'] as const;
export type TierName = (typeof TIER_NAMES)[number];

/** What a tier is; tiers/NAME.yaml declares it. */
export interface TierSettings {
  /** CPU quota in cores, where the runtime can limit it. */
  readonly cpus: number;
  /** Memory, where the runtime can limit it. */
  readonly memoryMiB: number;
  readonly engine: string;
  /** Threads of one session; 0: from the CPU quota that the node finds itself under. */
  readonly threads: number;
}

/** One of each. */
export type TierSet = Readonly<Record<TierName, TierSettings>>;

/** Less than this no node can live in. */
export const MIN_MEMORY_MIB = 64;
/** The kernel's longest CFS period is a second, its smallest quota a millisecond. */
export const MIN_CPUS = 0.001;

/** JSON Schema of a tier's settings, all optional: a study overrides what it names. */
export const tierSchema = {
  type: 'object',
  properties: {
    cpus: { type: 'number', minimum: MIN_CPUS },
    memoryMiB: { type: 'integer', minimum: MIN_MEMORY_MIB },
    engine: { type: 'string', minLength: 1 },
    threads: { type: 'integer', minimum: 0, maximum: 1024 },
  },
  additionalProperties: false,
} as const;

const wholeTierSchema = { ...tierSchema, required: Object.keys(tierSchema.properties) };
const tierSetSchema = {
  type: 'object',
  properties: Object.fromEntries(TIER_NAMES.map((name) => [name, wholeTierSchema])),
  required: [...TIER_NAMES],
  additionalProperties: false,
};

const TIERS = join(packageRoot, 'tiers');

/** Reads tiers/NAME.yaml for every tier. @throws TierbedError `invalid` when one is wrong */
export function loadTiers(): TierSet {
  const settings = (name: TierName): TierSettings => read<TierSettings>(name, wholeTierSchema).data;
  return { mobile: settings('mobile'), edge: settings('edge'), cloud: settings('cloud') };
}

/** The sets of three tiers in `tiers/` that a study can take whole, by name: every file there that declares all three. */
export function tierPresets(): string[] {
  const isSet = (file: string): boolean => {
    const content: unknown = parse(readFileSync(join(TIERS, file), 'utf8'));
    return typeof content === 'object' && content !== null && TIER_NAMES.every((name) => name in content);
  };
  return readdirSync(TIERS)
    .filter((file) => file.endsWith('.yaml') && isSet(file))
    .map((file) => basename(file, '.yaml'))
    .sort();
}

/** Reads a set of three, one of `tierPresets()`. @throws TierbedError `invalid` when it is wrong */
export function loadTierPreset(name: string): TierSet {
  return read<TierSet>(name, tierSetSchema).data;
}

/** All tiers' CPUs and memory times `scale`, the memory in whole MiB. */
export function scaleTiers(tiers: TierSet, scale: number): TierSet {
  const scaled = ({ cpus, memoryMiB, ...rest }: TierSettings): TierSettings => ({
    ...rest,
    cpus: Number((cpus * scale).toPrecision(6)),
    memoryMiB: Math.round(memoryMiB * scale),
  });
  return { mobile: scaled(tiers.mobile), edge: scaled(tiers.edge), cloud: scaled(tiers.cloud) };
}

function read<T>(name: string, schema: object): CheckedYaml<T> {
  const file = join('tiers', `${name}.yaml`);
  return parseCheckedYaml<T>(readFileSync(join(packageRoot, file), 'utf8'), file, schema);
}
