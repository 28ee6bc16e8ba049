import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { messageOf, TierbedError } from '../../base/errors.js';
import { packageRoot } from '../../base/paths.js';
import type { DirectionSettings } from './types.js';
import { validateDirection } from './validate.js';

/** What a preset may set: all but a trace, which is a link's course on one day. */
const DIRECTION_KEYS: readonly (keyof DirectionSettings)[] = [
  'rateMbps',
  'delayMs',
  'jitterMs',
  'jitterDistribution',
  'lossPct',
  'lossBurstPackets',
  'queueBytes',
];

/** A kind of link, as `tiers/links.yaml` describes it. */
export interface LinkPreset {
  readonly name: string;
  /** Where the figures come from. */
  readonly source: string;
  readonly up: DirectionSettings;
  readonly down: DirectionSettings;
}

/**
 * Reads the presets by name, in the file's order.
 *
 * @throws TierbedError `missing` or `invalid` naming the file and the key
 */
export function loadLinkPresets(path = join(packageRoot, 'tiers', 'links.yaml')): ReadonlyMap<string, LinkPreset> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new TierbedError('missing', `cannot read the link presets ${path}: ${messageOf(error)}`, { cause: error });
  }
  let content: unknown;
  try {
    content = parse(text);
  } catch (error) {
    throw new TierbedError('invalid', `${path} is not YAML: ${messageOf(error)}`, { cause: error });
  }
  if (!isRecord(content)) throw new TierbedError('invalid', `${path} does not map names to links`);
  return new Map(Object.entries(content).map(([name, value]) => [name, presetOf(path, name, value)]));
}

function presetOf(path: string, name: string, value: unknown): LinkPreset {
  const where = `${path}: ${name}`;
  if (!isRecord(value)) throw new TierbedError('invalid', `${where} is not a link with source, up and down`);
  onlyKeys(where, value, ['source', 'up', 'down']);
  if (typeof value.source !== 'string' || value.source === '') {
    throw new TierbedError('invalid', `${where}.source does not say where the figures come from`);
  }
  return {
    name,
    source: value.source,
    up: directionOf(`${where}.up`, value.up),
    down: directionOf(`${where}.down`, value.down),
  };
}

function directionOf(where: string, value: unknown): DirectionSettings {
  if (!isRecord(value))
    throw new TierbedError('invalid', `${where} is not a direction with delayMs, jitterMs and queueBytes`);
  onlyKeys(where, value, DIRECTION_KEYS);
  const settings = value as unknown as DirectionSettings;
  validateDirection(where, settings);
  return settings;
}

function onlyKeys(where: string, value: Record<string, unknown>, allowed: readonly string[]): void {
  const unknown = Object.keys(value).find((key) => !allowed.includes(key));
  if (unknown)
    throw new TierbedError('invalid', `${where}.${unknown} is not known`, { fix: `use ${allowed.join(', ')}` });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
