import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { TierbedError } from '../../../base/errors.js';
import { assertPathsInside, isInside } from '../study/paths.js';
import { parseStudy } from '../study/study.js';
import type { NewStudy, StudyFileEntry } from './api.js';
import type { BlobStore } from './blob-store.js';

/** A study that was checked, and the name of its file. */
export interface CheckedStudy {
  readonly name: string;
  readonly file: string;
  readonly text: string;
  readonly files: readonly StudyFileEntry[];
}

/**
 * Checks a study and the list of its files, before anything is written.
 *
 * @throws TierbedError `invalid` or `refused` with file, line and key, or naming the file that has no place in the folder
 */
export function checkNewStudy({ study, name = 'study', files = [] }: NewStudy): CheckedStudy {
  const file = `${name}.yaml`;
  const parsed = parseStudy(study, file);
  assertPathsInside(parsed);
  const taken = new Set([file]);
  for (const { path } of files) {
    if (!isFilePath(path)) {
      throw new TierbedError('refused', `files: '${path}' is no path inside the folder of the study`, {
        fix: "Give a relative path with '/' between its parts, without '..'.",
      });
    }
    if (taken.has(path)) throw new TierbedError('invalid', `files: '${path}' is there twice`);
    taken.add(path);
  }
  for (const path of taken) {
    const above = parents(path).find((parent) => taken.has(parent));
    if (above !== undefined) throw new TierbedError('invalid', `files: '${above}' cannot be a file and a folder`);
  }
  return { name: parsed.study.name, file, text: study, files };
}

function isFilePath(path: string): boolean {
  return isInside(path) && path.split('/').every((part) => part !== '' && part !== '.' && part.length <= 255);
}

function parents(path: string): string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join('/'));
}

/**
 * Makes the folder of a study out of what was uploaded.
 *
 * @throws TierbedError `missing` naming what was not uploaded
 */
export async function materialise(study: CheckedStudy, folder: string, blobs: BlobStore): Promise<void> {
  const missing = await blobs.missing(study.files.map(({ sha256 }) => sha256));
  if (missing.length > 0) {
    const names = study.files.filter(({ sha256 }) => missing.includes(sha256)).map(({ path }) => path);
    const more = names.length > 5 ? ` and ${names.length - 5} more` : '';
    throw new TierbedError('missing', `${names.slice(0, 5).join(', ')}${more} of the study are not uploaded`, {
      fix: 'Send them with PUT /v1/files/{sha256} first; POST /v1/files/missing says which.',
    });
  }
  await mkdir(folder, { recursive: true });
  for (const { path, sha256 } of study.files) {
    const target = join(folder, path);
    if (relative(folder, target) !== path)
      throw new TierbedError('refused', `files: '${path}' leads out of the folder`);
    await mkdir(dirname(target), { recursive: true });
    await blobs.linkTo(sha256, target);
  }
  await writeFile(join(folder, study.file), study.text, { flag: 'wx' });
}
