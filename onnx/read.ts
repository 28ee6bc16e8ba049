import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf, TierbedError } from '../base/errors.js';
import { checkModel } from './check.js';
import { type DecodeOptions, decodeModelProto } from './decode.js';
import type { Model } from './model.js';
import { MESSAGE_LIMIT_BYTES } from './schema.js';

/**
 * Parses and checks an ONNX model. Its weights are views of `bytes`, which must not change any more.
 *
 * @param options the file, for messages, and the folder of external data
 * @throws TierbedError `invalid` for anything that is not a well-formed model, with file, node and tensor; `missing`
 *   for external data that is not there; `refused` for external data outside the model's folder
 */
export function decodeModel(bytes: Uint8Array, options: DecodeOptions = {}): Model {
  const model = decodeModelProto(bytes, options);
  checkModel(model, options.path);
  return model;
}

/**
 * Reads an ONNX model from its file, whose bytes are in memory once; external data stays where it is.
 *
 * @throws TierbedError `missing` when the file cannot be read; else as `decodeModel`
 */
export async function readModel(path: string): Promise<Model> {
  return decodeModel(await readWhole(path), { path, dir: dirname(path) });
}

async function readWhole(path: string): Promise<Uint8Array> {
  let file: FileHandle;
  try {
    // Asked first: opening a pipe would wait for its writer.
    if (!(await stat(path)).isFile()) throw new Error('it is not a regular file');
    file = await open(path, 'r');
  } catch (cause) {
    throw new TierbedError('missing', `cannot read model ${path}: ${messageOf(cause)}`, {
      fix: 'give the path of an .onnx file',
      cause,
    });
  }
  try {
    const { size } = await file.stat();
    if (size > MESSAGE_LIMIT_BYTES) {
      throw new TierbedError('invalid', `model ${path} is over 2 GiB, more than one protobuf message can hold`, {
        fix: 'export the model with its weights as external data',
      });
    }
    // One buffer of the right size: readFile would gather pieces, and so need the size twice.
    const bytes = new Uint8Array(size);
    for (let done = 0; done < bytes.byteLength; ) {
      const { bytesRead } = await file.read(bytes, done, Math.min(bytes.byteLength - done, 1 << 30), done);
      if (bytesRead === 0) throw new TierbedError('invalid', `model ${path} became shorter while it was read`);
      done += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}
