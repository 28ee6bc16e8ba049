import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir } from '../../../base/paths.js';
import { declareContent } from '../../declared-content.js';
import type { WorkloadItem, WorkloadPart } from '../../types.js';
import { className } from './classes.js';
import { encodedPicture } from './jpeg.js';

/** Raised whenever the same seed gives other pictures. */
export const GENERATOR_VERSION = 5;

/**
 * The pictures of a part. Each is drawn when it is first read, and kept in the cache with its checksum in its name: one
 * that is damaged or gone is drawn again, and so is one that could not be kept.
 */
export function pictureItems(seed: number, part: WorkloadPart, count: number): readonly WorkloadItem[] {
  const kept = new KeptPictures(join(cacheDir(), `pictures-${GENERATOR_VERSION}-${seed}`, part));
  const items = Array.from({ length: count }, (_, index): WorkloadItem => {
    const name = String(index).padStart(5, '0');
    return {
      id: `${part}/${name}.jpg`,
      label: className(index),
      read: () => kept.get(name, () => encodedPicture(seed, part, index)),
    };
  });
  return declareContent(items, JSON.stringify(['pictures', GENERATOR_VERSION, seed, part, count]));
}

/** Files of a folder, each named after what it is and what its bytes hash to. */
class KeptPictures {
  readonly #folder: string;
  #names: Promise<Map<string, string>> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async get(name: string, draw: () => Promise<Uint8Array>): Promise<Uint8Array> {
    this.#names ??= this.#list();
    const names = await this.#names;
    const file = names.get(name);
    const bytes = file === undefined ? undefined : await readFile(join(this.#folder, file)).catch(() => undefined);
    if (bytes && file === fileOf(name, bytes)) return bytes;
    const drawn = await draw();
    // A cache that cannot be written costs time alone.
    await this.#keep(fileOf(name, drawn), drawn).then(
      () => names.set(name, fileOf(name, drawn)),
      () => undefined,
    );
    return drawn;
  }

  async #list(): Promise<Map<string, string>> {
    const files = await readdir(this.#folder).catch(() => []);
    return new Map(files.filter((file) => file.endsWith('.jpg')).map((file) => [file.split('-')[0] as string, file]));
  }

  async #keep(file: string, bytes: Uint8Array): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const beside = join(this.#folder, `${randomUUID()}.tmp`);
    try {
      await writeFile(beside, bytes);
      await rename(beside, join(this.#folder, file));
    } catch (error) {
      await rm(beside, { force: true });
      throw error;
    }
  }
}

/** `00012-90ab12cd34ef5678.jpg` */
function fileOf(name: string, bytes: Uint8Array): string {
  return `${name}-${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}.jpg`;
}
