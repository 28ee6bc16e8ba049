import { TierbedError } from '../../base/errors.js';
import type { WorkloadItem } from '../types.js';
import { type CifarSpec, cifar } from './cifar.js';
import { type IdxSpec, idx } from './idx.js';
import { type ImageFolderSpec, imageFolder } from './image-folder.js';
import type { LoadContext, Loader } from './loader.js';
import { type NpySpec, npy } from './npy.js';
import { type NpzSpec, npz } from './npz.js';
import { type TensorFileSpec, tensorFile } from './tensor-file.js';
import { type TsvSpec, tsv } from './tsv.js';

export type { LoadContext, Loader } from './loader.js';

/** Where a workload's data comes from; `loader` names a file in `workloads/loaders/`. */
export type DataSpec = ImageFolderSpec | CifarSpec | IdxSpec | TensorFileSpec | NpySpec | NpzSpec | TsvSpec;

/** The loaders there are: a new one is a file here, its spec above and an entry below. */
export const LOADERS: readonly Loader[] = [imageFolder, cifar, idx, tensorFile, npy, npz, tsv];

/**
 * The items that a data spec names.
 *
 * @throws TierbedError `missing` when a file or environment variable is not there, `invalid` when something in it is wrong
 */
export async function loadItems(spec: DataSpec, context: LoadContext): Promise<readonly WorkloadItem[]> {
  const loader = LOADERS.find(({ name }) => name === spec.loader);
  if (!loader) {
    throw new TierbedError('invalid', `there is no loader '${spec.loader}'`, {
      fix: `Use one of: ${LOADERS.map(({ name }) => name).join(', ')}.`,
    });
  }
  return loader.load(spec, context);
}
