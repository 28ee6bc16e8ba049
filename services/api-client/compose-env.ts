import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseEnv } from 'node:util';
import { COMPOSE_FILE } from './find-token.js';

/** The variables of the `.env` beside compose.yaml, which Compose reads; none where there is no such file. */
export function composeEnv(folder = dirname(COMPOSE_FILE)): NodeJS.Dict<string> {
  try {
    return parseEnv(readFileSync(join(folder, '.env'), 'utf8'));
  } catch {
    // Compose itself says what is wrong with a file that cannot be read.
    return {};
  }
}
