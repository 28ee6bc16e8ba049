import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { TierbedError } from '../../base/errors.js';
import type { CatalogueFile } from './catalogue.js';

/** The sha256 of a file in hex, or undefined when there is no such file. */
export async function sha256OfFile(path: string): Promise<string | undefined> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return hash.digest('hex');
}

/** Whether a sha256 is that of the catalogue, as far as the publisher states it. */
export const matches = (file: CatalogueFile, sha256: string): boolean => sha256.startsWith(file.sha256);

/** The error for bytes that are not those of the catalogue. */
export function wrongChecksum(file: CatalogueFile, from: string, sha256: string): TierbedError {
  return new TierbedError(
    'invalid',
    `${from} is not the file that is wanted: its sha256 is ${sha256}, not ${file.sha256}${file.sha256.length < 64 ? '...' : ''}`,
    {
      fix: 'Nothing was kept. Try again, and if it stays so, do not use the file: what is published there has changed.',
    },
  );
}
