import { TierbedError } from '../../../base/errors.js';
import { docker } from './docker.js';
import { local } from './local.js';
import type { Runtime } from './runtime.js';

/** The runtimes there are: a new one is a file here and an entry below. */
export const RUNTIMES: readonly Runtime[] = [local, docker];

/** @throws TierbedError `usage` when there is no runtime of this name */
export function findRuntime(name: string): Runtime {
  const found = RUNTIMES.find((runtime) => runtime.name === name);
  if (found) return found;
  const names = RUNTIMES.map((runtime) => runtime.name).join(', ');
  throw new TierbedError('usage', `there is no runtime '${name}'`, { fix: `Use one of: ${names}.` });
}
