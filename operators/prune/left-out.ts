import { fitsPattern, fitting } from '../train/name-patterns.js';

/**
 * The names that patterns leave out.
 *
 * @param patterns those of a preset among them, which may fit none
 * @param given those that a user gave
 * @throws TierbedError `invalid` when one that was given fits none
 */
export function leftOut(
  names: readonly string[],
  patterns: readonly string[],
  given: readonly string[],
): ReadonlySet<string> {
  fitting(names, given, 'prune.exclude');
  return new Set(names.filter((name) => patterns.some((pattern) => fitsPattern(name, pattern))));
}
