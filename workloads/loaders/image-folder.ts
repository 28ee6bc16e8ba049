import { readFile } from 'node:fs/promises';
import { isAbsolute, join, normalize, sep } from 'node:path';
import { messageOf, TierbedError } from '../../base/errors.js';
import { readColumns } from './labels.js';
import type { LoadContext, Loader } from './loader.js';
import { mustExist } from './read.js';

export interface ImageFolderSpec {
  readonly loader: 'image-folder';
  /** The folder that the files of the labels are in. */
  readonly path: string;
  /** A CSV file with a heading, one row a picture. */
  readonly labels: string;
  /** Its column of file names, relative to `path`; `file` unless said otherwise. */
  readonly fileColumn?: string;
  /** Its column of labels; `label` unless said otherwise. */
  readonly labelColumn?: string;
}

/** A folder of pictures and a CSV file that labels them. The item's id is the file's name. */
export const imageFolder: Loader<ImageFolderSpec> = {
  name: 'image-folder',
  schema: {
    properties: {
      path: { type: 'string', minLength: 1 },
      labels: { type: 'string', minLength: 1 },
      fileColumn: { type: 'string', minLength: 1 },
      labelColumn: { type: 'string', minLength: 1 },
    },
    required: ['path', 'labels'],
  },
  paths: ['path', 'labels'],
  async folderFiles(spec, context) {
    const labels = context.resolvePath(spec.labels);
    return (await readRows(spec, context)).map(([file = '']) => {
      insideFolder('.', file, labels);
      return normalize(file);
    });
  },
  async load(spec, context) {
    const folder = context.resolvePath(spec.path);
    const labels = context.resolvePath(spec.labels);
    await mustExist(folder);
    const rows = await readRows(spec, context);
    const seen = new Set<string>();
    const items = rows.map(([file = '', label = '']) => {
      if (seen.has(file)) throw new TierbedError('invalid', `${labels} names '${file}' twice`);
      seen.add(file);
      const path = insideFolder(folder, file, labels);
      return { id: file, label, path, read: () => readPicture(path) };
    });
    await anyExists(
      items.map(({ path }) => path),
      labels,
    );
    return items.map(({ id, label, read }) => ({ id, label, read }));
  },
};

/** File and label of each picture. */
function readRows(
  spec: ImageFolderSpec,
  { resolvePath, signal }: LoadContext,
): Promise<readonly (readonly string[])[]> {
  return readColumns(resolvePath(spec.labels), [spec.fileColumn ?? 'file', spec.labelColumn ?? 'label'], signal);
}

function insideFolder(folder: string, file: string, labels: string): string {
  const relative = normalize(file);
  if (!file || isAbsolute(file) || relative === '..' || relative.startsWith(`..${sep}`)) {
    throw new TierbedError('invalid', `${labels} names the file '${file}', which is not inside ${folder}`);
  }
  return join(folder, relative);
}

async function readPicture(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    const gone = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const why = gone ? 'is not there' : `cannot be read: ${messageOf(error)}`;
    throw new TierbedError('missing', `${path} ${why}`, { cause: error });
  }
}

/**
 * Files that are not there are items that cannot be read; when none is there, something else is wrong. Looks in batches,
 * so that a large folder is opened neither one by one nor all at once.
 */
async function anyExists(paths: readonly string[], labels: string): Promise<void> {
  const batch = 256;
  for (let i = 0; i < paths.length; i += batch) {
    const found = await Promise.allSettled(paths.slice(i, i + batch).map(mustExist));
    if (found.some(({ status }) => status === 'fulfilled')) return;
  }
  throw new TierbedError('missing', `${paths[0]} does not exist, nor does any other file that ${labels} names`, {
    fix: "Check the paths of the workload's data.",
  });
}
