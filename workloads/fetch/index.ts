import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, TierbedError } from '../../base/errors.js';
import type { Progress } from '../../base/progress.js';
import { CATALOGUE, type CatalogueEntry } from './catalogue.js';
import { matches, sha256OfFile } from './checksum.js';
import { download } from './download.js';
import { copyFromMirror } from './mirror.js';

export interface FetchOptions {
  /** Each entry gets a folder of its name in here. */
  readonly out: string;
  /** Take the files from this folder and never from the network. */
  readonly mirror?: string | undefined;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
  /** A server that sends nothing for this long is given up; 60 s unless told. */
  readonly stallMs?: number;
}

export interface FetchedFile {
  readonly name: string;
  readonly file: string;
  readonly path: string;
  readonly sha256: string;
  /** `present`: it was there already, and its checksum is right. */
  readonly status: 'downloaded' | 'mirrored' | 'present';
}

/** @throws TierbedError `usage` when the catalogue has no such entry */
export function catalogueEntry(name: string): CatalogueEntry {
  const entry = CATALOGUE.find((e) => e.name === name);
  if (entry) return entry;
  throw new TierbedError('usage', `there is no '${name}' to fetch`, {
    fix: `Name one of: ${CATALOGUE.map((e) => e.name).join(', ')}.`,
  });
}

/**
 * Gets every file of an entry. Files that are there already are checked and kept; one that is another file is replaced.
 *
 * @throws TierbedError `missing`, `unavailable`, `invalid`, `refused`, `exhausted` or `cancelled`: files that were complete
 *   stay, and a partial download is gone on with next time
 */
export async function fetchEntry(entry: CatalogueEntry, options: FetchOptions): Promise<readonly FetchedFile[]> {
  const folder = join(options.out, entry.name);
  const { progress, signal, stallMs = 60_000 } = options;
  const fetched: FetchedFile[] = [];
  try {
    await mkdir(folder, { recursive: true });
    for (const file of entry.files) {
      const path = join(folder, file.name);
      const found = { name: entry.name, file: file.name, path };
      const existing = await sha256OfFile(path);
      if (existing !== undefined && matches(file, existing)) {
        fetched.push({ ...found, sha256: existing, status: 'present' });
      } else if (options.mirror !== undefined) {
        const sha256 = await copyFromMirror(options.mirror, entry.name, file, path);
        fetched.push({ ...found, sha256, status: 'mirrored' });
      } else {
        const sha256 = await download(file, path, { progress, signal, stallMs });
        fetched.push({ ...found, sha256, status: 'downloaded' });
      }
    }
  } catch (error) {
    throw explained(error, folder);
  }
  return fetched;
}

function explained(error: unknown, folder: string): unknown {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (error instanceof TierbedError || !code) return error;
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  return new TierbedError(full ? 'exhausted' : 'refused', `${folder} cannot take the files: ${messageOf(error)}`, {
    fix: full
      ? 'Free some space, or name another folder with --out DIR.'
      : 'Name a folder that can be written with --out DIR.',
    cause: error,
  });
}
