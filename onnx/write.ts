import { randomBytes } from 'node:crypto';
import { type FileHandle, open, realpath, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { messageOf, TierbedError } from '../base/errors.js';
import { subgraphs } from './attribute.js';
import { encodeModel, type Placed, weightBytes } from './encode.js';
import { externalChunks } from './external.js';
import type { Graph, Initializer, Model } from './model.js';
import { MESSAGE_LIMIT_BYTES } from './schema.js';

export { encodeModel } from './encode.js';

export interface WriteOptions {
  /**
   * Where weights go: `never` into the model file, `always` into `NAME.data` beside it, `auto` (the default) into the
   * model file while it stays under protobuf's 2 GiB.
   */
  readonly external?: 'auto' | 'never' | 'always';
  /** When external: smaller weights stay in the model file. 1024 unless told, as in ONNX's own tools. */
  readonly thresholdBytes?: number;
}

/** Left for the structure of a model whose weights alone come close to protobuf's limit. */
const STRUCTURE_BYTES = 64 << 20;

/** "Offset values SHOULD be multiples of the page size (usually 4kb) to enable mmap support" (ONNX, ExternalData.md). */
const ALIGNMENT_BYTES = 4096;

/**
 * Writes a model, with its external data where it has some. Files appear under their names when they are complete, or
 * not at all.
 *
 * @throws TierbedError `invalid` when the model is too large for one message and external data is off; `exhausted` when
 *   the disk is full; `refused` when the folder may not be written to, or when the data file that would be replaced is
 *   the one that the model's own weights are read from; `missing` when there is no such folder
 */
export async function writeModel(model: Model, path: string, options: WriteOptions = {}): Promise<void> {
  const { external = 'auto', thresholdBytes = 1024 } = options;
  const outside =
    external === 'always' ||
    (external === 'auto' && weightBytes(model.graph, () => undefined) > MESSAGE_LIMIT_BYTES - STRUCTURE_BYTES);
  if (!outside) {
    const bytes = encodeModel(model);
    return replaceFile(path, (file) => writeAll(file, bytes));
  }
  const large = weightsOf(model.graph).filter((weight) => rawLength(weight) >= thresholdBytes);
  const location = `${basename(path)}.data`;
  const dataPath = join(dirname(path), location);
  await refuseOwnData(large, dataPath);
  const placed = new Map<Initializer, Placed>();
  await replaceFile(dataPath, async (file) => {
    let offset = 0;
    for (const weight of large) {
      const length = rawLength(weight);
      placed.set(weight, { location, offset, length });
      let at = offset;
      for (const chunk of chunksOf(weight)) {
        await writeAll(file, chunk, at);
        at += chunk.byteLength;
      }
      offset = Math.ceil((offset + length) / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    }
  });
  const bytes = encodeModel(model, (weight) => placed.get(weight));
  await replaceFile(path, (file) => writeAll(file, bytes));
}

/** Every weight of a graph and of the graphs inside it, each once. */
function weightsOf(graph: Graph): Initializer[] {
  const found = new Set(graph.initializers);
  for (const node of graph.nodes) for (const inner of subgraphs(node)) for (const w of weightsOf(inner)) found.add(w);
  return [...found];
}

/** Bytes of a weight's elements; 0 for strings, which stay in the model file. */
function rawLength({ data }: Initializer): number {
  if (data.kind === 'external') return data.length;
  return data.kind === 'raw' ? data.bytes.byteLength : 0;
}

function chunksOf({ data }: Initializer): Iterable<Uint8Array> {
  if (data.kind === 'external') return externalChunks(data);
  return data.kind === 'raw' ? [data.bytes] : [];
}

/** Replacing the file that weights are still read from would change those weights under every holder of the model. */
async function refuseOwnData(weights: readonly Initializer[], dataPath: string): Promise<void> {
  const target = await realpath(dataPath).catch(() => undefined);
  if (target === undefined) return;
  const user = weights.find(({ data }) => data.kind === 'external' && data.path === target);
  if (!user) return;
  throw new TierbedError('refused', `${dataPath} holds weights of the model that is written (${user.name})`, {
    fix: 'write the model under another name',
  });
}

/** Writes a file under a temporary name in the same folder, then gives it its name. */
async function replaceFile(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const file = await open(temporary, 'wx');
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await unlink(temporary).catch(() => {});
    throw cause instanceof TierbedError ? cause : writeError(path, cause);
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position = 0): Promise<void> {
  // One write takes at most 2 GiB on Linux.
  for (let done = 0; done < bytes.byteLength; ) {
    const length = Math.min(bytes.byteLength - done, 1 << 30);
    const { bytesWritten } = await file.write(bytes, done, length, position + done);
    done += bytesWritten;
  }
}

function writeError(path: string, cause: unknown): TierbedError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new TierbedError('exhausted', `no space left to write ${path}`, { fix: 'free some space', cause });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new TierbedError('refused', `${path} may not be written: ${messageOf(cause)}`, {
        fix: 'choose a folder that you may write to',
        cause,
      });
    case 'ENOENT':
    case 'ENOTDIR':
      return new TierbedError('missing', `there is no folder ${dirname(path)}`, { fix: 'make it first', cause });
    default:
      return new TierbedError('invalid', `cannot write ${path}: ${messageOf(cause)}`, { cause });
  }
}
