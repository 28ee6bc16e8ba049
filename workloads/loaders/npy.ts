import { type FileHandle, open } from 'node:fs/promises';
import { messageOf, TierbedError } from '../../base/errors.js';
import { encodeItemFile } from '../item-file.js';
import { type ArraySpec, arrayItems, arrayProperties } from './array-item.js';
import { readLabels } from './labels.js';
import type { Loader } from './loader.js';
import { NPY_HEAD_BYTES, type NpyHeader, parseNpyHeader } from './npy-format.js';
import { labelTexts } from './npy-labels.js';
import { mustExist } from './read.js';

export interface NpySpec extends ArraySpec {
  readonly loader: 'npy';
  /** An array file of NumPy's (`numpy.save`): items lie along its first axis. */
  readonly path: string;
  /** The model's input. */
  readonly input: string;
  /** Another array file with one label an item, or a CSV file with a heading; without it the labels are empty. */
  readonly labels?: string;
  /** The column of labels in a CSV file; `label` unless said otherwise. */
  readonly labelColumn?: string;
}

/** NumPy's `.npy`: items are tensors, read from the file one by one. */
export const npy: Loader<NpySpec> = {
  name: 'npy',
  schema: {
    properties: {
      path: { type: 'string', minLength: 1 },
      input: { type: 'string', minLength: 1 },
      ...arrayProperties,
      labels: { type: 'string', minLength: 1 },
      labelColumn: { type: 'string', minLength: 1 },
    },
    required: ['path', 'input'],
  },
  paths: ['path', 'labels'],
  async load(spec, { resolvePath, signal }) {
    const path = resolvePath(spec.path);
    const header = await readHeader(path);
    const { count, itemBytes, tensor } = arrayItems(header, spec, path);
    const labels = spec.labels === undefined ? undefined : await labelsOf(spec, resolvePath(spec.labels), { path, count }, signal);
    return Array.from({ length: count }, (_, i) => ({
      id: String(i),
      label: labels?.[i] ?? '',
      read: async () => {
        const data = await readAt(path, header.dataAt + i * itemBytes, itemBytes);
        return encodeItemFile([{ name: spec.input, tensor: tensor(data) }]);
      },
    }));
  },
};

async function labelsOf(
  spec: NpySpec,
  path: string,
  data: { readonly path: string; readonly count: number },
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  if (!path.endsWith('.npy')) return readLabels(path, spec.labelColumn ?? 'label', data, signal);
  const header = await readHeader(path);
  const [count = 0] = header.shape;
  if (count !== data.count) {
    throw new TierbedError('invalid', `${path} has ${count} labels for the ${data.count} items of ${data.path}`);
  }
  const bytes = header.shape.reduce((product, d) => product * d, header.elementBytes);
  return labelTexts(header, await readAt(path, header.dataAt, bytes), path);
}

async function readHeader(path: string): Promise<NpyHeader> {
  await mustExist(path);
  return withFile(path, async (file) => {
    const { size } = await file.stat();
    const head = await readExactly(file, path, 0, Math.min(size, NPY_HEAD_BYTES));
    return parseNpyHeader(head, size, path);
  });
}

function readAt(path: string, offset: number, length: number): Promise<Uint8Array> {
  return withFile(path, (file) => readExactly(file, path, offset, length));
}

async function withFile<T>(path: string, work: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw new TierbedError('missing', `${path} can no longer be read: ${messageOf(cause)}`, { cause });
  });
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

async function readExactly(file: FileHandle, path: string, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, offset + done);
    if (bytesRead === 0) throw new TierbedError('missing', `${path} became shorter while it was read`);
    done += bytesRead;
  }
  return bytes;
}
