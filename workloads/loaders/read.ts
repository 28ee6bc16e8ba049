import { access, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { messageOf, TierbedError } from '../../base/errors.js';

/**
 * A whole file's bytes, unpacked when its name ends in `.gz`.
 *
 * @throws TierbedError `missing` when it cannot be read, `invalid` when it does not unpack
 */
export async function readData(path: string, signal?: AbortSignal): Promise<Buffer> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path, { signal });
  } catch (error) {
    throw asMissing(path, error);
  }
  if (!path.endsWith('.gz')) return bytes;
  try {
    return await promisify(gunzip)(bytes);
  } catch (error) {
    throw new TierbedError('invalid', `${path} is not a complete gzip file: ${messageOf(error)}`, { cause: error });
  }
}

/** @throws TierbedError `missing` when there is nothing that can be read at `path` */
export async function mustExist(path: string): Promise<void> {
  try {
    await access(path);
  } catch (error) {
    throw asMissing(path, error);
  }
}

function asMissing(path: string, error: unknown): TierbedError {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ABORT_ERR') return new TierbedError('cancelled', `reading ${path} was cancelled`, { cause: error });
  const what = code === 'ENOENT' ? `${path} does not exist` : `${path} cannot be read: ${messageOf(error)}`;
  return new TierbedError('missing', what, {
    fix: "Check the paths of the workload's data in the study.",
    cause: error,
  });
}
