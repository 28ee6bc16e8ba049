import { TierbedError } from '../../base/errors.js';
import { float32Tensor } from '../../onnx/tensor.js';
import { encodeItemFile } from '../item-file.js';
import type { Loader } from './loader.js';
import { readData } from './read.js';

export interface IdxSpec {
  readonly loader: 'idx';
  /** IDX files as MNIST has them, gzipped or not. */
  readonly images: string;
  readonly labels: string;
  /** The model's input. */
  readonly input: string;
  /** Pixels are divided by this; 1 unless said otherwise. */
  readonly scale?: number;
}

interface Idx {
  readonly dims: readonly number[];
  readonly data: Uint8Array;
}

/** Pictures in the IDX format (LeCun's MNIST page): items are tensors `[1, 1, rows, columns]` of float32. */
export const idx: Loader<IdxSpec> = {
  name: 'idx',
  schema: {
    properties: {
      images: { type: 'string', minLength: 1 },
      labels: { type: 'string', minLength: 1 },
      input: { type: 'string', minLength: 1 },
      scale: { type: 'number', exclusiveMinimum: 0 },
    },
    required: ['images', 'labels', 'input'],
  },
  paths: ['images', 'labels'],
  async load(spec, { resolvePath, signal }) {
    const paths = { images: resolvePath(spec.images), labels: resolvePath(spec.labels) };
    const images = parseIdx(paths.images, await readData(paths.images, signal), 3);
    const labels = parseIdx(paths.labels, await readData(paths.labels, signal), 1);
    const [count = 0, rows = 0, columns = 0] = images.dims;
    if (labels.dims[0] !== count) {
      throw new TierbedError(
        'invalid',
        `${paths.images} has ${count} pictures, ${paths.labels} ${labels.dims[0]} labels`,
      );
    }
    const pixels = rows * columns;
    const scale = spec.scale ?? 1;
    return Array.from({ length: count }, (_, i) => ({
      id: String(i),
      label: String(labels.data[i]),
      read: async () => {
        const values = Float32Array.from(images.data.subarray(i * pixels, (i + 1) * pixels), (p) => p / scale);
        return encodeItemFile([{ name: spec.input, tensor: float32Tensor([1, 1, rows, columns], values) }]);
      },
    }));
  },
};

/** Two zero bytes, the element type (8: unsigned byte), the number of dimensions, then each as a big-endian uint32. */
function parseIdx(path: string, bytes: Buffer, dimensions: number): Idx {
  if (bytes.byteLength < 4 + 4 * dimensions || bytes.readUInt32BE(0) !== 0x0800 + dimensions) {
    throw new TierbedError('invalid', `${path} is not an IDX file of unsigned bytes with ${dimensions} dimension(s)`);
  }
  const dims = Array.from({ length: dimensions }, (_, i) => bytes.readUInt32BE(4 + 4 * i));
  const data = bytes.subarray(4 + 4 * dimensions);
  const want = dims.reduce((product, d) => product * d, 1);
  if (data.byteLength !== want) {
    throw new TierbedError('invalid', `${path} says [${dims.join(', ')}], ${want} bytes, and has ${data.byteLength}`);
  }
  return { dims, data };
}
