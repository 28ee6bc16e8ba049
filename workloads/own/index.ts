import { TierbedError } from '../../base/errors.js';
import type { Workload } from '../types.js';
import { keptNetwork } from './kept-network.js';
import type { OwnOptions, OwnWorkload } from './own-workload.js';
import { pictures } from './pictures/index.js';
import { text } from './text/index.js';

/** The project's own workloads: a new one is a folder here and an entry below. */
export const OWN: readonly OwnWorkload[] = [pictures, text];

export const ownNames: readonly string[] = OWN.map(({ name }) => name);

/** @throws TierbedError `invalid` when there is no workload of this name */
export function ownWorkload(name: string): OwnWorkload {
  const own = OWN.find((o) => o.name === name);
  if (own) return own;
  throw new TierbedError('invalid', `there is no workload '${name}' of Tierbed's own`, {
    fix: `Use one of: ${ownNames.join(', ')}.`,
  });
}

/**
 * A workload with one of its kept networks. Items are made when they are read.
 *
 * @throws TierbedError `invalid` when there is no workload of this name; `refused` or `exhausted` when the cache, where
 *   networks are unpacked, cannot be written
 */
export async function loadOwn(name: string, { seed = 1, network = 'teacher' }: OwnOptions): Promise<Workload> {
  const own = ownWorkload(name);
  return { ...own.data(seed), modelPath: await keptNetwork(name, network) };
}
