import { suggest } from '../../../base/checked-yaml.js';
import { TierbedError } from '../../../base/errors.js';
import { loadLinkPresets } from '../../link/presets.js';
import type { Direction, DirectionSettings, LinkSettings } from '../../link/types.js';
import { validateLinkSettings } from '../../link/validate.js';
import type { LinkPatch } from './api.js';

/** Settings that a trace overrides. */
const TRACED = ['rateMbps', 'delayMs', 'jitterMs', 'lossPct'] as const;

/**
 * A link with a patch applied: the preset first, then what is named. A trace in a patched direction ends where it would
 * override what was named.
 *
 * @throws TierbedError `invalid` naming the key, or when nothing is named
 */
export function patchLink(link: LinkSettings, patch: LinkPatch): LinkSettings {
  const { direction = 'both', preset, blocked, ...settings } = patch;
  if (preset === undefined && blocked === undefined && Object.keys(settings).length === 0) {
    throw new TierbedError('invalid', `nothing to set on ${link.name} is named`, {
      fix: 'Name what to change, e.g. {"rateMbps": 10}; what is not named stays as it is.',
    });
  }
  const base = preset === undefined ? undefined : findPreset(preset);
  const patched = (side: Direction): DirectionSettings => {
    if (direction !== 'both' && direction !== side) return link[side];
    const before = base?.[side] ?? link[side];
    return { ...(TRACED.some((key) => settings[key] !== undefined) ? withoutTrace(before) : before), ...settings };
  };
  const made: LinkSettings = {
    ...link,
    up: patched('up'),
    down: patched('down'),
    ...(blocked !== undefined && { blocked }),
  };
  validateLinkSettings(made);
  return made;
}

function withoutTrace({ trace: _, ...rest }: DirectionSettings): DirectionSettings {
  return rest;
}

function findPreset(name: string) {
  const presets = loadLinkPresets();
  const found = presets.get(name);
  if (found) return found;
  const names = [...presets.keys()];
  throw new TierbedError(
    'invalid',
    `there is no link preset '${name}'; allowed: ${names.join(', ')}`,
    suggest(name, names),
  );
}
