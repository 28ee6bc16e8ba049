import { randomUUID } from 'node:crypto';
import { copyFile, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { TierbedError } from '../../base/errors.js';
import type { CatalogueFile } from './catalogue.js';
import { matches, sha256OfFile, wrongChecksum } from './checksum.js';

/**
 * Copies a file from a mirror folder to `path`, which it takes only once the copy's checksum is right. It is looked for
 * where `fetch --out` would have put it (`DIR/ENTRY/FILE`) and in the folder itself.
 *
 * @throws TierbedError `missing` when the mirror has no such file, `invalid` when it has another
 */
export async function copyFromMirror(
  mirror: string,
  entry: string,
  file: CatalogueFile,
  path: string,
): Promise<string> {
  const candidates = [join(mirror, entry, file.name), join(mirror, file.name)];
  const copy = `${path}.${randomUUID()}.tmp`;
  try {
    for (const candidate of candidates) {
      if (resolve(candidate) === resolve(path)) continue;
      try {
        await copyFile(candidate, copy);
      } catch (error) {
        if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) continue;
        throw error;
      }
      const sha256 = (await sha256OfFile(copy)) ?? '';
      if (!matches(file, sha256)) throw wrongChecksum(file, candidate, sha256);
      await rename(copy, path);
      return sha256;
    }
  } finally {
    await rm(copy, { force: true });
  }
  throw new TierbedError('missing', `the mirror ${mirror} has no ${file.name} of ${entry}`, {
    fix: `Put it at ${candidates[0]}, e.g. with 'tierbed fetch ${entry} --out ${mirror}' where there is a network.`,
  });
}
