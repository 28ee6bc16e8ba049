import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError } from '../base/disk-error.js';
import { TierbedError } from '../base/errors.js';
import type { PackedStudy } from '../services/orchestrator/index.js';

/** The file of a results folder that says which study of which orchestrator its results are of. */
const NAME = 'orchestrator.json';

/** What a results folder remembers of a study that an orchestrator runs. */
export interface RemoteStudy {
  readonly id: string;
  readonly url: string;
  /** sha256 of the study and of all files that it names. */
  readonly studySha256: string;
}

/** The study of a results folder, or undefined when it is not an orchestrator's. */
export async function readRemote(folder: string): Promise<RemoteStudy | undefined> {
  const text = await readFile(join(folder, NAME), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as RemoteStudy;
  } catch (cause) {
    throw new TierbedError('invalid', `${join(folder, NAME)} is damaged`, { fix: 'Start a new run.', cause });
  }
}

export async function writeRemote(folder: string, remote: RemoteStudy): Promise<void> {
  const path = join(folder, NAME);
  await writeFile(path, `${JSON.stringify(remote, null, 2)}\n`).catch((error: unknown) => {
    throw diskError(error, path);
  });
}

/** A fingerprint of a study with its files. */
export function studyDigest({ text, files }: PackedStudy): string {
  const hash = createHash('sha256').update(text);
  for (const { path, sha256 } of files) hash.update(`\0${path}\0${sha256}`);
  return hash.digest('hex');
}

/** Refuses to finish here what an orchestrator began. @throws TierbedError `refused` */
export async function assertLocal(folder: string): Promise<void> {
  const remote = await readRemote(folder);
  if (!remote) return;
  throw new TierbedError(
    'refused',
    `${folder} is of the study ${remote.id} that the orchestrator at ${remote.url} runs`,
    {
      fix: `Finish it there: add --api ${remote.url}, or --runtime docker.`,
    },
  );
}
