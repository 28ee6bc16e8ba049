import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { diskError } from '../../base/disk-error.js';
import { messageOf, TierbedError } from '../../base/errors.js';
import type { Progress } from '../../base/progress.js';
import type { ApiClient } from './client.js';

/**
 * Gets the result files of a study into a folder that exists, each whole or not at all.
 *
 * @returns the names of the files
 * @throws TierbedError as `ApiClient.open`; `exhausted` or `refused` when they cannot be written
 */
export async function downloadResults(
  client: ApiClient,
  id: string,
  folder: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const files = await client.results(id);
  progress.start('getting the results', files.length);
  try {
    for (const [i, { name }] of files.entries()) {
      // The name becomes a path here, so it is not to lead anywhere.
      if (!/^[\w-]+(\.[\w-]+)*$/.test(name)) throw new TierbedError('refused', `'${name}' is no name of a result file`);
      await downloadFile(client, id, name, join(folder, name), signal);
      progress.update(i + 1, name);
    }
  } finally {
    progress.stop();
  }
  return files.map(({ name }) => name);
}

async function downloadFile(
  client: ApiClient,
  id: string,
  name: string,
  path: string,
  signal: AbortSignal,
): Promise<void> {
  const from = `/v1/studies/${encodeURIComponent(id)}/results/${encodeURIComponent(name)}`;
  const response = await client.open('GET', from, { signal, long: true });
  const unfinished = `${path}.part`;
  try {
    const body = Readable.fromWeb((response.body ?? new ReadableStream()) as Parameters<typeof Readable.fromWeb>[0]);
    await pipeline(body, createWriteStream(unfinished));
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => {});
    const known = diskError(error, path);
    if (known instanceof TierbedError) throw known;
    throw new TierbedError('unavailable', `${name} of the study ${id} broke off: ${messageOf(error)}`, {
      fix: `Get it again: tierbed study results ${id}`,
      cause: error,
    });
  }
}
