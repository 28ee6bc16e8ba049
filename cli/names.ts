import { suggest } from '../base/checked-yaml.js';
import { TierbedError } from '../base/errors.js';

/** One of the known names. @throws TierbedError `usage` that says which there are, and which one was meant */
export function oneOf<T extends string>(what: string, name: string, known: readonly T[]): T {
  const found = known.find((candidate) => candidate === name);
  if (found !== undefined) return found;
  const fix = suggest(name, known).fix ?? `Use one of: ${known.join(', ')}.`;
  throw new TierbedError('usage', `there is no ${what} '${name}'; there are: ${known.join(', ')}`, { fix });
}
