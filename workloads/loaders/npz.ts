import { TierbedError } from '../../base/errors.js';
import { encodeItemFile } from '../item-file.js';
import { type ArrayItems, type ArraySpec, arrayItems, arrayProperties } from './array-item.js';
import { readLabels } from './labels.js';
import type { Loader } from './loader.js';
import { type NpyHeader, parseNpyHeader } from './npy-format.js';
import { labelTexts } from './npy-labels.js';
import { readData } from './read.js';
import { unzipped, zipNames } from './zip.js';

/** An array of the archive by its name, alone or with how it becomes the input. */
type ArrayChoice = string | ({ readonly array: string } & ArraySpec);

export interface NpzSpec {
  readonly loader: 'npz';
  /** An archive of arrays of NumPy's (`numpy.savez`, `numpy.savez_compressed`). */
  readonly path: string;
  /** For each input of the model the array that it is given; items lie along the arrays' first axis. */
  readonly inputs: Readonly<Record<string, ArrayChoice>>;
  /** The array that has one label an item. */
  readonly labelArray?: string;
  /** Or a CSV file with a heading; without either the labels are empty. */
  readonly labels?: string;
  /** Its column of labels; `label` unless said otherwise. */
  readonly labelColumn?: string;
}

interface ArchivedArray {
  readonly header: NpyHeader;
  /** The elements alone. */
  readonly data: Uint8Array;
  readonly what: string;
}

/** NumPy's `.npz`: items are tensors, one for each of the model's inputs. The arrays that are named are in memory. */
export const npz: Loader<NpzSpec> = {
  name: 'npz',
  schema: {
    properties: {
      path: { type: 'string', minLength: 1 },
      inputs: {
        type: 'object',
        minProperties: 1,
        additionalProperties: {
          type: ['string', 'object'],
          properties: { array: { type: 'string', minLength: 1 }, ...arrayProperties },
          required: ['array'],
          additionalProperties: false,
        },
      },
      labelArray: { type: 'string', minLength: 1 },
      labels: { type: 'string', minLength: 1 },
      labelColumn: { type: 'string', minLength: 1 },
    },
    required: ['path', 'inputs'],
  },
  paths: ['path', 'labels'],
  async load(spec, { resolvePath, signal }) {
    const path = resolvePath(spec.path);
    const inputs = Object.entries(spec.inputs).map(([name, choice]) => {
      return { name, ...(typeof choice === 'string' ? { array: choice } : choice) };
    });
    const { labelArray } = spec;
    const arrays = await readArrays(path, [...inputs.map(({ array }) => array), ...(labelArray ? [labelArray] : [])], signal);
    const given = inputs.map(({ name, array, ...how }) => {
      const { header, data, what } = arrays.get(array) as ArchivedArray;
      return { name, data, what, items: arrayItems(header, how, what) };
    });
    const count = commonCount(given);
    const labels = await labelsOf(spec, arrays, { path, count }, resolvePath, signal);
    return Array.from({ length: count }, (_, i) => ({
      id: String(i),
      label: labels?.[i] ?? '',
      read: async () =>
        encodeItemFile(
          given.map(({ name, data, items: { itemBytes, tensor } }) => {
            return { name, tensor: tensor(data.subarray(i * itemBytes, (i + 1) * itemBytes)) };
          }),
        ),
    }));
  },
};

async function readArrays(
  path: string,
  names: readonly string[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, ArchivedArray>> {
  const archive = await readData(path, signal);
  const there = zipNames(archive, path);
  for (const name of names) {
    if (there.includes(`${name}.npy`)) continue;
    const arrays = there.filter((file) => file.endsWith('.npy')).map((file) => file.slice(0, -'.npy'.length));
    throw new TierbedError('invalid', `${path} has no array '${name}'`, {
      fix: arrays.length > 0 ? `Use one of: ${arrays.join(', ')}.` : 'Save arrays in it with numpy.savez.',
    });
  }
  const files = unzipped(archive, [...new Set(names)].map((name) => `${name}.npy`), path);
  return new Map(
    names.map((name) => {
      const what = `array '${name}' of ${path}`;
      const bytes = files.get(`${name}.npy`) as Uint8Array;
      const header = parseNpyHeader(bytes, bytes.byteLength, what);
      return [name, { header, data: bytes.subarray(header.dataAt), what }];
    }),
  );
}

function commonCount(given: readonly { readonly what: string; readonly items: ArrayItems }[]): number {
  const [first, ...others] = given as [(typeof given)[number], ...typeof given];
  for (const { what, items } of others) {
    if (items.count === first.items.count) continue;
    throw new TierbedError('invalid', `${what} has ${items.count} items, ${first.what} ${first.items.count}`);
  }
  return first.items.count;
}

async function labelsOf(
  spec: NpzSpec,
  arrays: ReadonlyMap<string, ArchivedArray>,
  data: { readonly path: string; readonly count: number },
  resolvePath: (path: string) => string,
  signal: AbortSignal | undefined,
): Promise<readonly string[] | undefined> {
  if (spec.labels !== undefined) {
    return readLabels(resolvePath(spec.labels), spec.labelColumn ?? 'label', data, signal);
  }
  if (spec.labelArray === undefined) return undefined;
  const { header, data: elements, what } = arrays.get(spec.labelArray) as ArchivedArray;
  const labels = labelTexts(header, elements, what);
  if (labels.length === data.count) return labels;
  throw new TierbedError('invalid', `${what} has ${labels.length} labels for the ${data.count} items`);
}
