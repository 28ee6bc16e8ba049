import { TierbedError } from '../../base/errors.js';
import { ELEMENT_BYTES, elementCount } from '../../onnx/tensor.js';
import { encodeItemFile } from '../item-file.js';
import { converted, GIVEN } from './converted.js';
import { readLabels } from './labels.js';
import type { Loader } from './loader.js';
import { readData } from './read.js';

const STORED = ['float32', 'int8', 'uint8', 'int16', 'int32', 'int64'] as const;

export interface TensorFileSpec {
  readonly loader: 'tensor-file';
  /** Raw little-endian records of equal size, one after the other. */
  readonly path: string;
  /** The element type in the file. */
  readonly stored: (typeof STORED)[number];
  /** The model's input, its element type (float32 unless said otherwise) and its shape for one record. */
  readonly input: string;
  readonly dtype?: (typeof GIVEN)[number];
  readonly shape: readonly number[];
  /** Given value = (stored - offset) * scale; 0 and 1 unless said otherwise. */
  readonly offset?: number;
  readonly scale?: number;
  /** A CSV file with a heading, one row a record in the file's order; without it the labels are empty. */
  readonly labels?: string;
  /** Its column of labels; `label` unless said otherwise. */
  readonly labelColumn?: string;
}

/** Ready model inputs in one raw file: features of sound, token ids, bytes. Items are tensors. */
export const tensorFile: Loader<TensorFileSpec> = {
  name: 'tensor-file',
  schema: {
    properties: {
      path: { type: 'string', minLength: 1 },
      stored: { enum: STORED },
      input: { type: 'string', minLength: 1 },
      dtype: { enum: GIVEN },
      shape: { type: 'array', items: { type: 'integer', minimum: 1 } },
      offset: { type: 'number' },
      scale: { type: 'number' },
      labels: { type: 'string', minLength: 1 },
      labelColumn: { type: 'string', minLength: 1 },
    },
    required: ['path', 'stored', 'input', 'shape'],
  },
  paths: ['path', 'labels'],
  async load(spec, { resolvePath, signal }) {
    const path = resolvePath(spec.path);
    const bytes = await readData(path, signal);
    const recordBytes = elementCount(spec.shape) * ELEMENT_BYTES[spec.stored];
    const count = bytes.byteLength / recordBytes;
    if (count < 1 || !Number.isInteger(count)) {
      const record = `${spec.stored} [${spec.shape.join(', ')}] of ${recordBytes} bytes`;
      throw new TierbedError('invalid', `${path} has ${bytes.byteLength} bytes, no multiple of a record: ${record}`);
    }
    const labels =
      spec.labels === undefined
        ? undefined
        : await readLabels(resolvePath(spec.labels), spec.labelColumn ?? 'label', { path, count }, signal);
    return Array.from({ length: count }, (_, i) => ({
      id: String(i),
      label: labels?.[i] ?? '',
      read: async () => {
        const stored = bytes.subarray(i * recordBytes, (i + 1) * recordBytes);
        const tensor = { dtype: spec.stored, shape: spec.shape, data: stored };
        return encodeItemFile([{ name: spec.input, tensor: converted(tensor, { dtype: 'float32', ...spec }) }]);
      },
    }));
  },
};
