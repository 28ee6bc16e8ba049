import { TierbedError } from '../../base/errors.js';
import { sharpModule } from '../sharp-module.js';
import type { Loader } from './loader.js';
import { readData } from './read.js';

export interface CifarSpec {
  readonly loader: 'cifar';
  /** A file of CIFAR-10's binary version. */
  readonly path: string;
}

const SIDE = 32;
const PIXELS = SIDE * SIDE;
const RECORD_BYTES = 1 + 3 * PIXELS;

/**
 * CIFAR-10's binary version (Krizhevsky): records of a label byte and three planes of 32 x 32 bytes. Items are lossless
 * PNG pictures, so that the image preprocessing takes them as it takes any other.
 */
export const cifar: Loader<CifarSpec> = {
  name: 'cifar',
  schema: { properties: { path: { type: 'string', minLength: 1 } }, required: ['path'] },
  paths: ['path'],
  async load(spec, { resolvePath, signal }) {
    const path = resolvePath(spec.path);
    const bytes = await readData(path, signal);
    if (bytes.byteLength === 0 || bytes.byteLength % RECORD_BYTES !== 0) {
      throw new TierbedError(
        'invalid',
        `${path} has ${bytes.byteLength} bytes, no multiple of CIFAR-10's ${RECORD_BYTES}`,
      );
    }
    return Array.from({ length: bytes.byteLength / RECORD_BYTES }, (_, i) => {
      const record = bytes.subarray(i * RECORD_BYTES, (i + 1) * RECORD_BYTES);
      return { id: String(i), label: String(record[0]), read: () => encodePng(record.subarray(1)) };
    });
  },
};

async function encodePng(planes: Uint8Array): Promise<Uint8Array> {
  const interleaved = new Uint8Array(3 * PIXELS);
  for (let i = 0; i < PIXELS; i++) {
    for (let c = 0; c < 3; c++) interleaved[3 * i + c] = planes[c * PIXELS + i] as number;
  }
  const sharp = await sharpModule();
  return sharp(interleaved, { raw: { width: SIDE, height: SIDE, channels: 3 } })
    .png()
    .toBuffer();
}
