import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { messageOf, TierbedError } from '../../base/errors.js';
import type { Progress } from '../../base/progress.js';
import type { CatalogueFile } from './catalogue.js';
import { matches, wrongChecksum } from './checksum.js';
import { request } from './request.js';

export interface DownloadOptions {
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
  /** A server that sends nothing for this long is given up. */
  readonly stallMs: number;
}

/**
 * Downloads a file to `path`, which it takes only once its checksum is right; until then it is `path.part`. What is there
 * of an earlier attempt is asked for from where it ends.
 *
 * @throws TierbedError `missing` (404), `unavailable` (no network, a server's fault, cut short), `invalid` (another file),
 *   `cancelled`
 */
export async function download(file: CatalogueFile, path: string, options: DownloadOptions): Promise<string> {
  const part = `${path}.part`;
  const already = await sizeOf(part);
  const resumed = already > 0 && (file.bytes === undefined || already < file.bytes);
  try {
    return await attempt(file, path, part, resumed ? already : 0, options);
  } catch (error) {
    // The part may be of another file, or damaged: once more from the start tells.
    if (!resumed || !(error instanceof TierbedError) || error.kind !== 'invalid') throw error;
    return attempt(file, path, part, 0, options);
  }
}

async function attempt(
  file: CatalogueFile,
  path: string,
  part: string,
  from: number,
  { progress, signal, stallMs }: DownloadOptions,
): Promise<string> {
  const response = await request(file.url, { from, signal, stallMs });
  const start = response.start;
  const hash = createHash('sha256');
  if (start > 0) await hashFile(part, hash);
  const total = file.bytes ?? response.total;
  progress.start(`fetching ${file.name}`, total);
  const handle = await open(part, start > 0 ? 'a' : 'w');
  try {
    let done = start;
    for await (const chunk of response.body) {
      done += chunk.byteLength;
      if (file.bytes !== undefined && done > file.bytes) throw tooLong(file, done);
      hash.update(chunk);
      await writeAll(handle, chunk);
      progress.update(done);
    }
    if (total !== undefined && done < total) throw cutShort(file, done, total);
    await handle.sync();
  } catch (error) {
    if (error instanceof TierbedError && error.kind === 'invalid') await rm(part, { force: true });
    throw error;
  } finally {
    await handle.close();
    progress.stop();
  }
  const sha256 = hash.digest('hex');
  if (!matches(file, sha256)) {
    await rm(part, { force: true });
    throw wrongChecksum(file, file.url, sha256);
  }
  await rename(part, path);
  return sha256;
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.byteLength; ) at += (await handle.write(chunk, at)).bytesWritten;
}

async function hashFile(path: string, hash: Hash): Promise<void> {
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw new TierbedError('refused', `${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

const tooLong = (file: CatalogueFile, done: number): TierbedError =>
  new TierbedError('invalid', `${file.url} gives ${done} bytes or more, where ${file.bytes} are wanted`, {
    fix: 'Nothing was kept. What is published there has changed: do not use it.',
  });

const cutShort = (file: CatalogueFile, done: number, total: number): TierbedError =>
  new TierbedError('unavailable', `${file.url} ended after ${done} of ${total} bytes`, {
    fix: 'Run the command again: it goes on where this ended.',
  });
