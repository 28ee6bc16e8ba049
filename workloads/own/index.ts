import { TierbedError } from '../../base/errors.js';
import type { Workload } from '../types.js';
import type { OwnOptions, OwnWorkload } from './own-workload.js';
import { pictures } from './pictures/index.js';

/** The project's own workloads: a new one is a folder here and an entry below. */
const OWN: readonly OwnWorkload[] = [pictures];

export const ownNames: readonly string[] = OWN.map(({ name }) => name);

/** @throws TierbedError `invalid` when there is no workload of this name */
export function loadOwn(name: string, options: OwnOptions): Promise<Workload> {
  const own = OWN.find((o) => o.name === name);
  if (own) return own.load(options);
  throw new TierbedError('invalid', `there is no workload '${name}' of Tierbed's own`, {
    fix: `Use one of: ${ownNames.join(', ')}.`,
  });
}
