import { randomBytes } from 'node:crypto';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError } from '../../../base/disk-error.js';
import { TierbedError } from '../../../base/errors.js';

export const TOKEN_FILE = 'token';
const TOKEN_BYTES = 32;

export interface Token {
  readonly value: string;
  readonly path: string;
  /** It was made just now. */
  readonly fresh: boolean;
}

/**
 * The token that callers must send: read from the state folder, or made there, readable by its owner alone.
 *
 * @throws TierbedError `invalid` when the file holds no token, `refused` or `exhausted` when it cannot be written
 */
export async function openToken(stateFolder: string): Promise<Token> {
  const path = join(stateFolder, TOKEN_FILE);
  try {
    const value = randomBytes(TOKEN_BYTES).toString('base64url');
    await writeFile(path, `${value}\n`, { flag: 'wx', mode: 0o600 });
    return { value, path, fresh: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw diskError(error, path);
  }
  const value = (await readFile(path, 'utf8')).trim();
  if (!/^[\w-]{32,}$/.test(value)) {
    throw new TierbedError('invalid', `${path} holds no token`, { fix: 'Remove the file: a new one is made then.' });
  }
  await chmod(path, 0o600);
  return { value, path, fresh: false };
}
