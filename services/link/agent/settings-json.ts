import { messageOf, TierbedError } from '../../../base/errors.js';
import type { LinkSettings } from '../types.js';
import { validateLinkSettings } from '../validate.js';

/** @throws TierbedError `invalid` for what is not the settings of a link */
export function parseLinkSettings(json: string): LinkSettings {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new TierbedError('invalid', `a link's settings are not JSON: ${messageOf(error)}`);
  }
  if (!hasBothWays(value)) {
    throw new TierbedError('invalid', "a link's settings are not an object with name, up and down");
  }
  validateLinkSettings(value);
  return value;
}

function hasBothWays(value: unknown): value is LinkSettings {
  if (typeof value !== 'object' || value === null) return false;
  const { up, down } = value as Partial<Record<string, unknown>>;
  return typeof up === 'object' && up !== null && typeof down === 'object' && down !== null;
}
