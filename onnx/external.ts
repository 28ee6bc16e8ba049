import { closeSync, openSync, readSync, realpathSync, type Stats, statSync } from 'node:fs';
import { isAbsolute, join, relative, resolve, sep, win32 } from 'node:path';
import { messageOf, TierbedError } from '../base/errors.js';
import type { TensorData } from './model.js';

export type ExternalData = Extract<TensorData, { kind: 'external' }>;

export interface ExternalReference {
  readonly location: string;
  readonly offset: number;
  /** Undefined: what the tensor needs. */
  readonly length: number | undefined;
}

/**
 * Finds the data of an external tensor in its model's folder and checks, without reading it, that it is there.
 * A file that is not inside the folder is refused: a model must not make Tierbed read, and then send, other files.
 *
 * @param dir the model's folder
 * @param where names the model and the tensor, for messages
 * @param neededBytes what dims and type ask for
 * @throws TierbedError `refused` for a location outside the folder, `missing` when there is no such file, `invalid`
 *   when offset and length do not fit the file or the tensor
 */
export function resolveExternal(
  reference: ExternalReference,
  dir: string,
  where: string,
  neededBytes: number,
): ExternalData {
  const { location, offset, length } = reference;
  const path = pathInside(location, dir, where);
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new TierbedError('invalid', `${where}: external data has the offset ${offset}`, {
      fix: 'export the model again',
    });
  }
  if (length !== undefined && length !== neededBytes) {
    throw new TierbedError('invalid', `${where}: external data has ${length} bytes, the tensor takes ${neededBytes}`, {
      fix: 'export the model again: its dims and its data do not belong together',
    });
  }
  const { size } = statSync(path);
  if (offset + neededBytes > size) {
    throw new TierbedError(
      'invalid',
      `${where}: external data ends at byte ${offset + neededBytes} of ${location}, which has ${size} bytes`,
      { fix: `fetch ${location} again: it is cut short or belongs to another model` },
    );
  }
  return { kind: 'external', path, offset, length: neededBytes };
}

function pathInside(location: string, dir: string, where: string): string {
  const fix = 'keep external data in the folder of the model and name it by a path relative to that folder';
  const refuse = (why: string) =>
    new TierbedError('refused', `${where}: external data at ${JSON.stringify(location)} ${why}`, { fix });
  if (location === '' || location.includes('\0')) throw refuse('is no file name');
  if (isAbsolute(location) || win32.isAbsolute(location) || /^[A-Za-z]:/.test(location)) {
    throw refuse('is an absolute path');
  }
  if (location.split(/[\\/]/).includes('..')) throw refuse("leaves the model's folder");
  let real: string;
  let stats: Stats;
  try {
    real = realpathSync(join(dir, location));
    stats = statSync(real);
  } catch (cause) {
    throw new TierbedError('missing', `${where}: external data file ${join(dir, location)} cannot be read`, {
      fix: `put ${location} beside the model`,
      cause,
    });
  }
  const inside = relative(realpathSync(resolve(dir)), real);
  if (inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside)) {
    throw refuse("is a link that leaves the model's folder");
  }
  if (!stats.isFile()) throw refuse('is not a regular file');
  return real;
}

/**
 * Reads a tensor's external data.
 *
 * @param into where to; a new buffer when not given
 * @throws TierbedError `missing` when the file has gone or became shorter since the model was opened
 */
export function readExternal(data: ExternalData, into?: Uint8Array): Uint8Array {
  const bytes = into ?? new Uint8Array(data.length);
  let fd: number;
  try {
    fd = openSync(data.path, 'r');
  } catch (cause) {
    throw new TierbedError('missing', `cannot read external data ${data.path}: ${messageOf(cause)}`, { cause });
  }
  try {
    fill(fd, bytes, data.offset, data.path);
  } finally {
    closeSync(fd);
  }
  return bytes;
}

const COPY_CHUNK_BYTES = 8 << 20;

/** A tensor's external data piece by piece, so that copying gigabytes needs megabytes. Each piece is valid until the next. */
export function* externalChunks(data: ExternalData): Generator<Uint8Array> {
  const buffer = new Uint8Array(Math.min(COPY_CHUNK_BYTES, data.length));
  for (let done = 0; done < data.length; done += buffer.byteLength) {
    const length = Math.min(buffer.byteLength, data.length - done);
    yield readExternal({ ...data, offset: data.offset + done, length }, buffer.subarray(0, length));
  }
}

function fill(fd: number, bytes: Uint8Array, offset: number, path: string): void {
  // One read returns at most 2 GiB on Linux.
  for (let done = 0; done < bytes.byteLength; ) {
    const n = readSync(fd, bytes, done, Math.min(bytes.byteLength - done, 1 << 30), offset + done);
    if (n === 0) {
      throw new TierbedError('missing', `external data ${path} ends before byte ${offset + bytes.byteLength}`, {
        fix: 'the file changed while it was in use: open the model again',
      });
    }
    done += n;
  }
}
