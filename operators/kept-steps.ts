import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, brotliDecompress, constants } from 'node:zlib';
import { TierbedError } from '../base/errors.js';
import { packageRoot } from '../base/paths.js';
import type { Variant } from './variant.js';
import { type KeptStep, keepStep, readKept } from './variant-cache.js';

/** What the project keeps of steps that take training: under the key that the cache has for them, packed. */
export const KEPT_STEPS = join(packageRoot, 'kept', 'steps');

const PACKED = '.br';
const deflate = promisify(brotliCompress);
const inflate = promisify(brotliDecompress);

/**
 * A step that the project keeps, unpacked into the cache; undefined where it does not keep it.
 *
 * @param folder where steps are kept
 * @throws TierbedError `invalid` when what is kept is damaged; as `keepStep`
 */
export async function unpackStep(
  folder: string,
  cache: string,
  key: string,
  variant: Variant,
): Promise<KeptStep | undefined> {
  const packed = join(folder, key);
  if (!existsSync(packed)) return undefined;
  return keepStep(cache, key, variant, async (outDir) => {
    for (const file of await filesIn(packed)) {
      const path = join(outDir, file.slice(0, -PACKED.length));
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, await inflate(await readFile(join(packed, file))));
    }
    const step = await readKept(outDir, variant);
    if (step) return step;
    throw new TierbedError('invalid', `the kept step ${packed} is damaged`, { fix: 'Take the project anew.' });
  });
}

/** Packs what the cache keeps of a step. @returns bytes that it takes */
export async function packStep(cached: string, folder: string, key: string): Promise<number> {
  const packed = join(folder, key);
  let bytes = 0;
  for (const file of await filesIn(cached)) {
    const path = join(packed, file + PACKED);
    await mkdir(dirname(path), { recursive: true });
    bytes += await writePacked(path, await readFile(join(cached, file)));
  }
  return bytes;
}

/** Writes a file packed. @returns its bytes */
export async function writePacked(path: string, bytes: Uint8Array): Promise<number> {
  const packed = await deflate(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 22 },
  });
  await writeFile(path, packed);
  return packed.byteLength;
}

async function filesIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}
