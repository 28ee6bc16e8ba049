import { messageOf, TierbedError } from '../../base/errors.js';
import { float32Tensor } from '../../onnx/tensor.js';
import { sharpModule } from '../sharp-module.js';
import type { Preprocessor, PreprocessSpec } from '../types.js';
import { enlargedCentre } from './enlarge.js';

type ImageSpec = Extract<PreprocessSpec, { kind: 'image' }>;

/** 100 megapixels: more than any camera of such a device gives, and 300 MB once decoded. */
const MAX_PIXELS = 100_000_000;

/**
 * Encoded pictures (JPEG, PNG, WebP...) as `[1, 3, size, size]` float32, RGB, NCHW: the shorter side is resized to
 * `resizeShorter`, bilinear with the support widened when shrinking (as Pillow's `BILINEAR`), then the centre is cropped.
 *
 * As in the usual evaluation scripts, EXIF orientation and colour profiles are not applied and transparency is dropped.
 */
export function imagePreprocessor(spec: ImageSpec): Preprocessor {
  check(spec);
  const { input, size } = spec;
  const tables = normalisationTables(spec);
  return async (item) => {
    const pixels = await decodeCentre(item, size, spec.resizeShorter);
    return [{ name: input, tensor: float32Tensor([1, 3, size, size], toPlanes(pixels, size * size, tables)) }];
  };
}

function check(spec: ImageSpec): void {
  const { size, resizeShorter, scale, mean, std } = spec;
  const problem =
    !Number.isInteger(size) || size < 1
      ? `size ${size} is not a whole number >= 1`
      : !Number.isInteger(resizeShorter) || resizeShorter < size
        ? `resizeShorter ${resizeShorter} is not a whole number >= size ${size}`
        : !(scale > 0)
          ? `scale ${scale} is not above 0`
          : mean.length !== 3 || std.length !== 3
            ? 'mean and std need three numbers each'
            : !std.every((s) => s > 0)
              ? `std [${std.join(', ')}] has a number that is not above 0`
              : undefined;
  if (problem) throw new TierbedError('invalid', `preprocessing 'image': ${problem}`);
}

/** The centre `size` x `size` pixels as interleaved RGB bytes, after the resize. */
async function decodeCentre(item: Uint8Array, size: number, resizeShorter: number): Promise<Uint8Array> {
  const sharp = await sharpModule();
  try {
    // 'error' takes pictures with recoverable oddities, as other decoders do, and refuses those cut short.
    const options = { failOn: 'error', limitInputPixels: MAX_PIXELS, sequentialRead: true, ignoreIcc: true } as const;
    const image = sharp(item, options);
    const { width, height } = await image.metadata();
    const [w, h] = shorterSideTo(width, height, resizeShorter);
    image.removeAlpha().toColourspace('srgb').raw();
    if (w > width || h > height) {
      const pixels = await image.toBuffer();
      return enlargedCentre({ width, height, pixels }, w, h, size);
    }
    // Decoding at a fraction of the size would be faster, and would not give the pixels that the model was tuned on.
    if (w < width || h < height) image.resize(w, h, { fit: 'fill', kernel: 'linear', fastShrinkOnLoad: false });
    return await image
      .extract({ left: Math.floor((w - size) / 2), top: Math.floor((h - size) / 2), width: size, height: size })
      .toBuffer();
  } catch (error) {
    throw new TierbedError(
      'invalid',
      `the item (${item.byteLength} bytes) is not a readable picture: ${messageOf(error)}`,
      {
        fix: 'Check that the file is a complete JPEG, PNG or WebP picture.',
        cause: error,
      },
    );
  }
}

/** Width and height with the shorter side at `shorter` and the longer in proportion, rounded down as torchvision does. */
function shorterSideTo(width: number, height: number, shorter: number): [width: number, height: number] {
  return width <= height
    ? [shorter, Math.max(shorter, Math.floor((height * shorter) / width))]
    : [Math.max(shorter, Math.floor((width * shorter) / height)), shorter];
}

/** For each channel, the value of each of the 256 pixel values. */
function normalisationTables({ scale, mean, std }: ImageSpec): readonly Float32Array[] {
  return [0, 1, 2].map((c) =>
    Float32Array.from({ length: 256 }, (_, pixel) => (pixel / scale - (mean[c] as number)) / (std[c] as number)),
  );
}

/** Interleaved RGB bytes to three planes of values. */
function toPlanes(pixels: Uint8Array, count: number, tables: readonly Float32Array[]): Float32Array {
  const values = new Float32Array(3 * count);
  for (let c = 0; c < 3; c++) {
    const table = tables[c] as Float32Array;
    for (let i = 0, from = c, to = c * count; i < count; i++, from += 3, to++) {
      values[to] = table[pixels[from] as number] as number;
    }
  }
  return values;
}
