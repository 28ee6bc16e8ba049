import { createHash, randomBytes } from 'node:crypto';
import { access, link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { diskError } from '../../../base/disk-error.js';
import { TierbedError } from '../../../base/errors.js';
import { HttpError } from './errors.js';

/** No single file of a study is larger. */
export const MAX_FILE_BYTES = 16 * 1024 ** 3;

/** From when somebody asks about a file, or sends it, until the study that it is for must be there. */
const WANTED_FOR_MS = 3_600_000;

/** Files by their content's sha256. Each is there whole or not at all. */
export class BlobStore {
  readonly #folder: string;
  readonly #maxBytes: number;
  /** When a file was asked about or sent for a study that is still to come. */
  readonly #wantedMs = new Map<string, number>();

  private constructor(folder: string, maxBytes: number) {
    this.#folder = folder;
    this.#maxBytes = maxBytes;
  }

  /** Opens the store in a folder; what an earlier process left half done is removed. */
  static async open(folder: string, maxBytes = MAX_FILE_BYTES): Promise<BlobStore> {
    await rm(join(folder, 'unfinished'), { recursive: true, force: true });
    await mkdir(join(folder, 'unfinished'), { recursive: true });
    return new BlobStore(folder, maxBytes);
  }

  #path(sha256: string): string {
    if (!/^[0-9a-f]{64}$/.test(sha256)) throw new TierbedError('invalid', `'${sha256}' is not a sha256`);
    return join(this.#folder, sha256.slice(0, 2), sha256);
  }

  async has(sha256: string): Promise<boolean> {
    return access(this.#path(sha256)).then(
      () => true,
      () => false,
    );
  }

  /** Which of these are not here; each once. Those that are stay for a while, whether or not a study uses them. */
  async missing(hashes: readonly string[]): Promise<string[]> {
    const missing: string[] = [];
    for (const sha256 of new Set(hashes)) {
      if (await this.has(sha256)) this.#wantedMs.set(sha256, performance.now());
      else missing.push(sha256);
    }
    return missing;
  }

  /**
   * Takes a file's bytes as they come.
   *
   * @param announcedBytes what the sender says that it is, where it does
   * @throws TierbedError `invalid` when the bytes are not those of the hash, `exhausted` when they are too many or the
   *   disk is full, `cancelled` when the sender went away
   */
  async put(sha256: string, content: Readable, announcedBytes?: number): Promise<{ readonly bytes: number }> {
    const path = this.#path(sha256);
    if (announcedBytes !== undefined && announcedBytes > this.#maxBytes) throw this.#tooLong(sha256);
    this.#wantedMs.set(sha256, performance.now());
    const unfinished = join(this.#folder, 'unfinished', `${sha256}.${randomBytes(4).toString('hex')}`);
    try {
      const { bytes, hash } = await this.#write(unfinished, sha256, content);
      if (hash !== sha256) {
        throw new TierbedError('invalid', `the content sent has the sha256 ${hash}, not ${sha256}`, {
          fix: 'Send the file again: it was changed or damaged on its way.',
        });
      }
      await mkdir(dirname(path), { recursive: true });
      await rename(unfinished, path);
      return { bytes };
    } catch (error) {
      throw diskError(error, path);
    } finally {
      await rm(unfinished, { force: true });
    }
  }

  async #write(path: string, sha256: string, content: Readable): Promise<{ bytes: number; hash: string }> {
    const file = await open(path, 'wx', 0o444);
    try {
      const hash = createHash('sha256');
      let bytes = 0;
      for await (const chunk of content as AsyncIterable<Buffer>) {
        bytes += chunk.byteLength;
        if (bytes > this.#maxBytes) throw this.#tooLong(sha256);
        hash.update(chunk);
        for (let done = 0; done < chunk.byteLength; ) done += (await file.write(chunk, done)).bytesWritten;
      }
      await file.datasync();
      return { bytes, hash: hash.digest('hex') };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE') {
        throw new TierbedError('cancelled', `the sender of ${sha256} went away`, { cause: error });
      }
      throw error;
    } finally {
      await file.close();
    }
  }

  #tooLong(sha256: string): HttpError {
    const message = `the file ${sha256} is longer than ${this.#maxBytes} bytes`;
    return new HttpError(413, 'exhausted', message, 'Use a smaller file.');
  }

  /** Gives a stored file a name of its own: a hard link, so that it takes no room. */
  async linkTo(sha256: string, path: string): Promise<void> {
    await link(this.#path(sha256), path);
    this.#wantedMs.delete(sha256);
  }

  /** Removes the files that no study uses: those without another name. @returns how many */
  async removeUnused(nowMs = performance.now()): Promise<number> {
    for (const [sha256, wantedMs] of this.#wantedMs) {
      if (nowMs - wantedMs > WANTED_FOR_MS) this.#wantedMs.delete(sha256);
    }
    let removed = 0;
    for (const part of (await readdir(this.#folder)).filter((name) => /^[0-9a-f]{2}$/.test(name))) {
      for (const sha256 of await readdir(join(this.#folder, part))) {
        const path = join(this.#folder, part, sha256);
        const used = (await stat(path)).nlink > 1;
        if (used || this.#wantedMs.has(sha256)) continue;
        await rm(path, { force: true });
        removed++;
      }
    }
    return removed;
  }
}
