import { TierbedError } from '../../base/errors.js';
import { type LinkPreset, loadLinkPresets } from '../link/presets.js';
import type { DirectionSettings, LinkName, LinkSettings } from '../link/types.js';
import { validateLinkSettings } from '../link/validate.js';
import { suggest } from './checked-yaml.js';
import type { StudyFile } from './study.js';

const LINK_NAMES: readonly LinkName[] = ['mobile-edge', 'edge-cloud'];

/** What a direction is where a study does not say: no limit, no delay, and room for a quarter of a MiB. */
const DEFAULT_DIRECTION: DirectionSettings = { rateMbps: 0, delayMs: 0, jitterMs: 0, queueBytes: 262_144 };

/** The links of a study. @throws TierbedError `invalid` with file, line and key */
export function resolveLinks(file: StudyFile): LinkSettings[] {
  return LINK_NAMES.map((name) => ({ name, ...resolvedLink(file, name) }));
}

/** One link: its preset, what the study says of both directions, and what it says of each, the last one said holding. */
export function resolvedLink(file: StudyFile, name: LinkName): Omit<LinkSettings, 'name'> {
  const { preset, up, down, ...both } = file.study.links[name];
  const base = preset === undefined ? undefined : findPreset(file, name, preset);
  const link = {
    up: { ...DEFAULT_DIRECTION, ...base?.up, ...both, ...up },
    down: { ...DEFAULT_DIRECTION, ...base?.down, ...both, ...down },
  };
  try {
    validateLinkSettings({ name, ...link });
  } catch (error) {
    if (error instanceof TierbedError) throw file.errorAt(['links', name], error.message, { cause: error });
    throw error;
  }
  return link;
}

/** The settings of a preset of tiers/links.yaml. */
function findPreset(file: StudyFile, name: LinkName, preset: string): LinkPreset {
  const presets = loadLinkPresets();
  const found = presets.get(preset);
  if (found) return found;
  const names = [...presets.keys()];
  throw file.errorAt(
    ['links', name],
    `there is no link preset '${preset}'; allowed: ${names.join(', ')}`,
    suggest(preset, names),
  );
}
