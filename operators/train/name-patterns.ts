import { TierbedError } from '../../base/errors.js';

/** Whether a name fits a pattern, in which `*` stands for any text. */
export function fitsPattern(name: string, pattern: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's').test(name);
}

/**
 * The names that fit one of the patterns.
 *
 * @param option what has the patterns, for the message
 * @throws TierbedError `invalid` when a pattern fits none
 */
export function fitting(names: readonly string[], patterns: readonly string[], option: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const pattern of patterns) {
    const fits = names.filter((name) => fitsPattern(name, pattern));
    if (fits.length === 0) {
      throw new TierbedError('invalid', `${option}: no weight is called '${pattern}'`, {
        fix: `The weights are: ${names.slice(0, 8).join(', ')}${names.length > 8 ? ', ...' : ''}; * stands for any text.`,
      });
    }
    for (const name of fits) found.add(name);
  }
  return found;
}
