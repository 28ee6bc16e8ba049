import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { brotliDecompress } from 'node:zlib';
import { diskError } from '../../base/disk-error.js';
import { messageOf, TierbedError } from '../../base/errors.js';
import { cacheDir, packageRoot } from '../../base/paths.js';
import type { OwnNetwork } from './own-workload.js';

/** The folder of what was trained and is kept in the project. */
export const KEPT = join(packageRoot, 'kept');

/** Where a network is kept: its ONNX file, packed. */
export const packedNetwork = (workload: string, network: OwnNetwork): string =>
  join(KEPT, workload, `${network}.onnx.br`);

const inflate = promisify(brotliDecompress);

/**
 * A network that is kept in the project, unpacked in the cache under the hash of what it is packed as. It is unpacked
 * anew where the cache has it not, or damaged.
 *
 * @returns the path of its ONNX file
 * @throws TierbedError `missing` when the project has no such network; `refused` or `exhausted` when the cache cannot be
 *   written
 */
export async function keptNetwork(workload: string, network: OwnNetwork): Promise<string> {
  const packed = await readFile(packedNetwork(workload, network)).catch((error) => {
    throw new TierbedError('missing', `the ${network} of ${workload} cannot be read: ${messageOf(error)}`, {
      fix: 'Have it trained: `tierbed own train`.',
      cause: error,
    });
  });
  const model = await inflate(packed);
  const hash = createHash('sha256').update(packed).digest('hex').slice(0, 16);
  // Its name is part of the keys of what is made of it: the one that it was trained under.
  const path = join(cacheDir(), 'own', `${workload}-${network}-${hash}`, `${network}.onnx`);
  const there = await readFile(path).catch(() => undefined);
  if (!there?.equals(model)) await write(path, model);
  return path;
}

/** Beside its place first: nobody ever reads half of it. */
async function write(path: string, bytes: Uint8Array): Promise<void> {
  const beside = `${path}.${randomUUID()}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(beside, bytes);
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true }).catch(() => {});
    throw diskError(error, `the cache ${cacheDir()}`, {
      full: 'Free some space there, or set TIERBED_CACHE to a folder with more room.',
      place: 'Set TIERBED_CACHE to a folder that can be written to.',
    });
  }
}
