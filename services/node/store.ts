import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize, sep } from 'node:path';
import { messageOf, TierbedError } from '../../base/errors.js';

/** A file of a model: its path beside the others, and its content. */
export interface StoredModelFile {
  readonly path: string;
  readonly sha256: string;
}

/** Writes one chunk; a seam for the tests of what happens when the disk is full. */
export type WriteChunk = (file: FileHandle, chunk: Uint8Array) => Promise<unknown>;

/**
 * Files by the sha256 of their content, in `DIR/files`, and the folders of models made of them, in `DIR/models`.
 * A file that is there is whole: it gets its name only after its hash was verified. Several nodes may share a store.
 */
export class Store {
  readonly #dir: string;
  readonly #write: WriteChunk;
  /** true: takes nothing more, as on a disk without room (the fault `disk-full`). */
  full = false;

  private constructor(dir: string, write: WriteChunk) {
    this.#dir = dir;
    this.#write = write;
  }

  /** @throws TierbedError `refused` when the folder cannot be made */
  static async open(dir: string, write: WriteChunk = (file, chunk) => file.writeFile(chunk)): Promise<Store> {
    try {
      for (const part of ['files', 'models', 'incoming']) await mkdir(join(dir, part), { recursive: true });
    } catch (error) {
      throw new TierbedError('refused', `the store ${dir} cannot be made: ${messageOf(error)}`, {
        fix: 'Give --store a folder that can be written to.',
        cause: error,
      });
    }
    return new Store(dir, write);
  }

  /** Which of these the store does not hold. */
  async missing(hashes: readonly string[]): Promise<string[]> {
    const held = await Promise.all(hashes.map((sha256) => exists(this.#path(sha256))));
    return hashes.filter((_, i) => !held[i]);
  }

  /**
   * Takes one file.
   *
   * @returns false when it was there already
   * @throws TierbedError `invalid` when length or hash are not what was announced, `exhausted` when the disk is full;
   *   nothing is left behind then
   */
  async put(sha256: string, bytes: number, chunks: AsyncIterable<Uint8Array>): Promise<boolean> {
    const path = this.#path(sha256);
    if (await exists(path)) {
      for await (const _ of chunks);
      return false;
    }
    const incoming = join(this.#dir, 'incoming', randomUUID());
    try {
      this.#needsRoom();
      await this.#receive(incoming, sha256, bytes, chunks);
      await rename(incoming, path);
      return true;
    } catch (error) {
      await rm(incoming, { force: true });
      throw storeError(error, `${sha256.slice(0, 12)}...`);
    }
  }

  /** @throws TierbedError `missing` when the store does not hold it */
  async read(sha256: string): Promise<Uint8Array> {
    try {
      return await readFile(this.#path(sha256));
    } catch (error) {
      throw notHeld(sha256, error);
    }
  }

  /**
   * Lays a model's files out as their paths say, so that external data is found beside the model, and gives the path of
   * the first. The files are hard links: a runtime may refuse external data that a symbolic link leads out of the folder.
   *
   * @throws TierbedError `missing` for a file that the store does not hold, `invalid` for a path that leaves the folder
   */
  async materialise(files: readonly StoredModelFile[]): Promise<string> {
    const [model] = files;
    if (!model) throw new TierbedError('invalid', 'a model needs at least one file');
    const paths = files.map(({ path }) => insideFolder(path));
    const repeated = paths.find((path, i) => paths.indexOf(path) !== i);
    if (repeated !== undefined) throw new TierbedError('invalid', `two files of one model are at "${repeated}"`);
    for (const { sha256 } of files) if (!(await exists(this.#path(sha256)))) throw notHeld(sha256);
    const layout = files.map(({ sha256 }, i) => [paths[i], sha256]);
    const name = createHash('sha256').update(JSON.stringify(layout)).digest('hex');
    const folder = join(this.#dir, 'models', name);
    const modelPath = join(folder, paths[0] as string);
    if (await exists(folder)) return modelPath;
    const incoming = join(this.#dir, 'incoming', randomUUID());
    try {
      this.#needsRoom();
      for (const [i, { sha256 }] of files.entries()) {
        const target = join(incoming, paths[i] as string);
        await mkdir(dirname(target), { recursive: true });
        await link(this.#path(sha256), target);
      }
      await rename(incoming, folder);
    } catch (error) {
      await rm(incoming, { recursive: true, force: true });
      // Another deployment of the same model, in this node or one that shares the store, may have been first.
      if (!(await exists(folder))) throw storeError(error, `the model ${model.path}`);
    }
    return modelPath;
  }

  async #receive(path: string, sha256: string, bytes: number, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const hash = createHash('sha256');
    let received = 0;
    const file = await open(path, 'wx');
    try {
      for await (const chunk of chunks) {
        received += chunk.byteLength;
        if (received > bytes) break;
        hash.update(chunk);
        await this.#write(file, chunk);
      }
    } finally {
      await file.close();
    }
    if (received !== bytes) {
      throw new TierbedError('invalid', `file ${sha256} was announced with ${bytes} bytes and came with ${received}`);
    }
    const actual = hash.digest('hex');
    if (actual !== sha256) {
      throw new TierbedError('invalid', `file ${sha256} came with content whose sha256 is ${actual}`, {
        fix: 'Send the file again; it changed on its way or on its disk.',
      });
    }
  }

  #needsRoom(): void {
    if (this.full) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  }

  #path(sha256: string): string {
    if (!/^[0-9a-f]{64}$/.test(sha256)) {
      throw new TierbedError('invalid', `"${sha256}" is not a sha256 in lower-case hex`);
    }
    return join(this.#dir, 'files', sha256);
  }
}

/** @throws TierbedError `invalid` for a path that does not stay inside the folder it is relative to */
function insideFolder(path: string): string {
  const normal = normalize(path.replaceAll('\\', '/'));
  if (
    normal === '.' ||
    normal.endsWith(sep) ||
    isAbsolute(normal) ||
    normal.split(sep).includes('..') ||
    path.includes('\0')
  ) {
    throw new TierbedError('invalid', `"${path}" does not name a file inside the model's folder`, {
      fix: 'Give paths relative to the folder of the model.',
    });
  }
  return normal;
}

function notHeld(sha256: string, cause?: unknown): TierbedError {
  return new TierbedError('missing', `the node does not hold the file ${sha256}`, {
    fix: 'Send it with PutFile first.',
    cause,
  });
}

function storeError(error: unknown, what: string): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new TierbedError('exhausted', `the disk of the node's store is full; ${what} was not stored`, {
      fix: 'Free some space, or give --store a folder on another disk.',
      cause: error,
    });
  }
  return error;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
