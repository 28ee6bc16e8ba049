import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function findPackageRoot(): string {
  for (let dir = dirname(fileURLToPath(import.meta.url)); ; dir = dirname(dir)) {
    if (existsSync(join(dir, 'package.json'))) return dir;
    if (dir === dirname(dir)) throw new Error('package.json of tierbed not found');
  }
}

/** The folder of Tierbed's package.json: proto/, tiers/ and studies/ are read from here. */
export const packageRoot: string = findPackageRoot();

/** Tierbed's own version, from package.json. */
export const version: string = (
  JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }
).version;

/** Where built models and fetched files are kept between runs: `$TIERBED_CACHE`, else `$XDG_CACHE_HOME/tierbed`, else `~/.cache/tierbed`. */
export function cacheDir(): string {
  return process.env.TIERBED_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'tierbed');
}

/** Where `tierbed serve` keeps its token, studies and results: `$TIERBED_STATE`, else `$XDG_STATE_HOME/tierbed`, else `~/.local/state/tierbed`. */
export function stateDir(): string {
  return process.env.TIERBED_STATE ?? join(process.env.XDG_STATE_HOME ?? join(homedir(), '.local', 'state'), 'tierbed');
}
