import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
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
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw diskError(error, path);
  });
  if (!bytes) return undefined;
  const found = decode(bytes, path);
  const differs = [...new Set([...Object.keys(key), ...Object.keys(found.key)])].filter(
    (name) => found.key[name] !== key[name],
  );
  if (differs.length === 0) return found;
  throw new TierbedError('refused', `the checkpoint ${path} is of another training: ${differs.join(', ')} differ`, {
    fix: 'Remove the file to begin anew, or give another folder.',
  });
}

function decode(bytes: Buffer, path: string): Checkpoint {
  const damaged = (what: string): TierbedError =>
    new TierbedError('invalid', `the checkpoint ${path} is damaged: ${what}`, {
      fix: 'Remove the file: training then begins anew.',
    });
  if (
    bytes.byteLength < MAGIC.length + LENGTH_BYTES + HASH_BYTES ||
    bytes.toString('latin1', 0, MAGIC.length) !== MAGIC
  ) {
    throw damaged('it does not begin as one of this version');
  }
  const body = bytes.subarray(0, -HASH_BYTES);
  if (!createHash('sha256').update(body).digest().equals(bytes.subarray(-HASH_BYTES))) {
    throw damaged('its checksum does not fit');
  }
  const start = MAGIC.length + LENGTH_BYTES;
  const end = start + Number(bytes.readBigUInt64LE(MAGIC.length));
  const header = JSON.parse(body.toString('utf8', start, end)) as Header;
  const arrays = new Map<string, Float32Array>();
  let offset = end;
  for (const { name, length } of header.arrays) {
    const values = new Float32Array(length);
    new Uint8Array(values.buffer).set(body.subarray(offset, offset + values.byteLength));
    arrays.set(name, values);
    offset += values.byteLength;
  }
  return { key: header.key, state: header.state, arrays };
}
