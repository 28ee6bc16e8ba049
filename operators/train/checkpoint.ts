import { createHash } from 'node:crypto';
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { diskError } from '../../base/disk-error.js';
import { TierbedError } from '../../base/errors.js';

/** What training goes on from: plain data, and arrays by name. */
export interface Checkpoint {
  /** What the run is of, each by name: it must all be the same when the run goes on. */
  readonly key: Readonly<Record<string, string>>;
  /** As JSON. */
  readonly state: unknown;
  readonly arrays: ReadonlyMap<string, Float32Array>;
}

interface Header {
  readonly key: Readonly<Record<string, string>>;
  readonly state: unknown;
  readonly arrays: readonly { readonly name: string; readonly length: number }[];
}

const MAGIC = 'tierbed checkpoint 1\n';
const HASH_BYTES = 32;
const LENGTH_BYTES = 8;

/**
 * Writes a checkpoint. Under its name there is at every moment the one before or this one, whole: it is written beside,
 * forced to the disk, and renamed, and the folder is forced to the disk too. Its form: a line, the length of a JSON
 * header, the header, the arrays one after the other (float32, little-endian), the sha256 of all that.
 *
 * @throws TierbedError `exhausted` when the disk is full, `refused` when the folder cannot be written to: the checkpoint
 *   before is still there
 */
export async function writeCheckpoint(path: string, { key, state, arrays }: Checkpoint): Promise<void> {
  const beside = `${path}.${process.pid}.part`;
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(beside, 'w');
    try {
      await writeParts(file, { key, state, arrays });
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(beside, { force: true }).catch(() => {});
    throw diskError(error, `the checkpoint ${path}`, {
      full: 'Free some space, and run again: training goes on from the checkpoint before.',
      place: 'Give a folder that can be written to.',
    });
  }
}

async function writeParts(file: FileHandle, { key, state, arrays }: Checkpoint): Promise<void> {
  const names = [...arrays].map(([name, { length }]) => ({ name, length }));
  const header = Buffer.from(JSON.stringify({ key, state, arrays: names } satisfies Header));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeBigUInt64LE(BigInt(header.byteLength));
  const hash = createHash('sha256');
  const write = async (bytes: Uint8Array): Promise<void> => {
    hash.update(bytes);
    for (let done = 0; done < bytes.byteLength; ) done += (await file.write(bytes, done)).bytesWritten;
  };
  await write(Buffer.from(MAGIC));
  await write(length);
  await write(header);
  for (const { buffer, byteOffset, byteLength } of arrays.values()) {
    await write(new Uint8Array(buffer, byteOffset, byteLength));
  }
  const digest = hash.digest();
  for (let done = 0; done < digest.byteLength; ) done += (await file.write(digest, done)).bytesWritten;
}

/** A file that nobody wrote to for so long is of a process that is gone. */
const ABANDONED_MS = 3_600_000;

/** Removes what processes left in a training's folder which were killed while they wrote a file. Never fails. */
export async function removeUnfinished(folder: string, nowMs = Date.now()): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (!name.endsWith('.part')) continue;
    const part = join(folder, name);
    const writtenMs = (await lstat(part).catch(() => undefined))?.mtimeMs ?? nowMs;
    if (nowMs - writtenMs > ABANDONED_MS) await rm(part, { force: true }).catch(() => {});
  }
}

/** A renamed file is on the disk when its folder is; where folders cannot be synced, the rename itself has to do. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined);
  await folder?.sync().catch(() => {});
  await folder?.close();
}

/**
 * Reads the checkpoint of a run; undefined when there is none.
 *
 * @param key of the run that is to go on
 * @throws TierbedError `invalid` when the file is not whole, `refused` when it is of another run, with what differs
 */
export async function readCheckpoint(
  path: string,
  key: Readonly<Record<string, string>>,
): Promise<Checkpoint | undefined> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw diskError(error, path);
  });
  if (!file) return undefined;
  let found: Checkpoint;
  try {
    found = await readParts(file, path);
  } finally {
    await file.close();
  }
  const differs = [...new Set([...Object.keys(key), ...Object.keys(found.key)])].filter(
    (name) => found.key[name] !== key[name],
  );
  if (differs.length === 0) return found;
  throw new TierbedError('refused', `the checkpoint ${path} is of another training: ${differs.join(', ')} differ`, {
    fix: 'Remove the file to begin anew, or give another folder.',
  });
}

/** Reads arrays where they stay: a large checkpoint is not in memory twice. */
async function readParts(file: FileHandle, path: string): Promise<Checkpoint> {
  const damaged = (what: string): TierbedError =>
    new TierbedError('invalid', `the checkpoint ${path} is damaged: ${what}`, {
      fix: 'Remove the file: training then begins anew.',
    });
  const { size } = await file.stat();
  const hash = createHash('sha256');
  let at = 0;
  const fill = async (bytes: Uint8Array): Promise<void> => {
    if (at + bytes.byteLength > size) throw damaged('it ends too early');
    for (let done = 0; done < bytes.byteLength; ) {
      const { bytesRead } = await file.read(bytes, done, bytes.byteLength - done, at + done);
      if (bytesRead === 0) throw damaged('it ends too early');
      done += bytesRead;
    }
    at += bytes.byteLength;
  };
  const take = async <T extends Uint8Array>(bytes: T): Promise<T> => {
    await fill(bytes);
    hash.update(bytes);
    return bytes;
  };
  const magic = await take(Buffer.alloc(MAGIC.length));
  if (magic.toString('latin1') !== MAGIC) throw damaged('it does not begin as one of this version');
  const length = Number((await take(Buffer.alloc(LENGTH_BYTES))).readBigUInt64LE());
  if (length > size) throw damaged('its header has no length');
  const text = (await take(Buffer.alloc(length))).toString('utf8');
  const header = parsed(text);
  if (!header) throw damaged('its header cannot be read');
  const arrays = new Map<string, Float32Array>();
  for (const { name, length: elements } of header.arrays) {
    if (4 * elements > size) throw damaged('its header has no lengths');
    const values = new Float32Array(elements);
    await take(new Uint8Array(values.buffer));
    arrays.set(name, values);
  }
  const digest = Buffer.alloc(HASH_BYTES);
  await fill(digest);
  if (at !== size || !hash.digest().equals(digest)) throw damaged('its checksum does not fit');
  return { key: header.key, state: header.state, arrays };
}

function parsed(text: string): Header | undefined {
  try {
    return JSON.parse(text) as Header;
  } catch {
    return undefined;
  }
}
