import { TierbedError } from '../../base/errors.js';
import type { Progress } from '../../base/progress.js';
import type { Workload } from '../types.js';
import { pictures } from './pictures/index.js';

export interface OwnOptions {
  /** Whose numbers draw the data and the model; each workload has its default. */
  readonly seed?: number | undefined;
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A workload of the project's own, made on first use and kept in the cache. */
export interface OwnWorkload {
  readonly name: string;
  load(options: OwnOptions): Promise<Workload>;
}

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
