import { rmSync } from 'node:fs';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { undoOnExit } from '../../base/clean-up.js';
import { diskError } from '../../base/disk-error.js';
import { TierbedError } from '../../base/errors.js';

/** Rows of numbers of one length, kept by index. */
export interface RowStore {
  readonly where: 'memory' | 'file';
  readonly bytes: number;
  set(index: number, row: Float32Array): Promise<void>;
  /** Copies a row into `into`, which is as long. */
  get(index: number, into: Float32Array): Promise<void>;
  /** Removes the file, where there is one. */
  close(): Promise<void>;
}

/**
 * A store for so many rows: in memory where they take at most `boundBytes`, else in a file.
 *
 * @param length numbers in a row
 * @param path what the name of the file begins with; made where it is needed, and gone with `close` or this process
 * @throws TierbedError `exhausted` when the disk is full, `refused` when the file cannot be written
 */
export async function openRows(count: number, length: number, boundBytes: number, path: string): Promise<RowStore> {
  const bytes = count * length * 4;
  return bytes <= boundBytes ? inMemory(count, length) : inFile(length, bytes, path);
}

function inMemory(count: number, length: number): RowStore {
  const all = new Float32Array(count * length);
  return {
    where: 'memory',
    bytes: all.byteLength,
    async set(index, row) {
      all.set(row, index * length);
    },
    async get(index, into) {
      into.set(all.subarray(index * length, (index + 1) * length));
    },
    async close() {},
  };
}

const FIXES = {
  full: 'Free some space there, or compare fewer tensors.',
  place: 'Set TIERBED_CACHE to a folder that can be written to.',
};

async function inFile(length: number, bytes: number, given: string): Promise<RowStore> {
  // Another process may be at the same step.
  const path = `${given}.${process.pid}`;
  let file: FileHandle;
  try {
    await mkdir(dirname(path), { recursive: true });
    file = await open(path, 'w+');
  } catch (error) {
    throw diskError(error, path, FIXES);
  }
  // A file without a name lasts as long as it is open, also where this process is killed. Not every system has that.
  await rm(path, { force: true }).catch(() => {});
  const forget = undoOnExit(() => rmSync(path, { force: true }));
  const view = (row: Float32Array): Uint8Array => new Uint8Array(row.buffer, row.byteOffset, row.byteLength);
  return {
    where: 'file',
    bytes,
    async set(index, row) {
      try {
        const { bytesWritten } = await file.write(view(row), 0, row.byteLength, index * length * 4);
        // The rest did not fit, which the next write would say.
        if (bytesWritten < row.byteLength) throw Object.assign(new Error('a short write'), { code: 'ENOSPC' });
      } catch (error) {
        throw diskError(error, path, FIXES);
      }
    },
    async get(index, into) {
      const { bytesRead } = await file.read(view(into), 0, into.byteLength, index * length * 4);
      if (bytesRead !== into.byteLength) throw new TierbedError('internal', `${path} is shorter than what it holds`);
    },
    async close() {
      await file.close();
      await rm(path, { force: true });
      forget();
    },
  };
}
