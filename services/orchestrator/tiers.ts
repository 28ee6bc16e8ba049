import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../base/paths.js';
import { parseCheckedYaml } from './checked-yaml.js';

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

/** JSON Schema of a tier's settings, all optional: a study overrides what it names. */
export const tierSchema = {
  type: 'object',
  properties: {
    cpus: { type: 'number', exclusiveMinimum: 0 },
    memoryMiB: { type: 'integer', minimum: 64 },
    engine: { type: 'string', minLength: 1 },
    threads: { type: 'integer', minimum: 0, maximum: 1024 },
  },
  additionalProperties: false,
} as const;

const wholeTierSchema = { ...tierSchema, required: Object.keys(tierSchema.properties) };

/** Reads tiers/NAME.yaml for every tier. @throws TierbedError `invalid` when one is wrong */
export function loadTiers(): Record<TierName, TierSettings> {
  const settings = (name: TierName): TierSettings => {
    const file = join('tiers', `${name}.yaml`);
    return parseCheckedYaml<TierSettings>(readFileSync(join(packageRoot, file), 'utf8'), file, wholeTierSchema).data;
  };
  return { mobile: settings('mobile'), edge: settings('edge'), cloud: settings('cloud') };
}
