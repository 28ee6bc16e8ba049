import { stat } from 'node:fs/promises';
import { basename, dirname, relative } from 'node:path';
import { TierbedError } from '../base/errors.js';
import { modelPaths } from '../onnx/model-paths.js';
import { hashFile, type ModelFile, type StageModel } from './variant.js';

/**
 * The files that a model is made of: the ONNX file, then the files of its external data, each hashed.
 *
 * @throws TierbedError as `readModel`; `missing` when a file of external data is not there
 */
export async function describeModel(path: string): Promise<StageModel> {
  const folder = dirname(path);
  const [, ...external] = await modelPaths(path);
  const files: ModelFile[] = [{ path, name: basename(path), ...(await hashFile(path)) }];
  for (const file of external) {
    const found = await stat(file).catch(() => undefined);
    if (!found?.isFile()) throw new TierbedError('missing', `${path}: its external data ${file} is not there`);
    files.push({ path: file, name: relative(folder, file), ...(await hashFile(file)) });
  }
  return { files };
}
