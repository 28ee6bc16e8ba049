import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import sharp from 'sharp';
import { TierbedError } from '../../base/errors.js';
import { float32Values, type NamedTensor } from '../../onnx/tensor.js';
import { encodeItemFile } from '../../workloads/item-file.js';
import { enlargedCentre } from '../../workloads/preprocess/enlarge.js';
import { createPreprocessor } from '../../workloads/preprocess/index.js';
import type { PreprocessSpec } from '../../workloads/types.js';
import { gradient, gradientPicture } from './pictures-to-test.js';

type ImageSpec = Extract<PreprocessSpec, { kind: 'image' }>;

/** Gives pixel values as they are. */
const plain = (size: number, resizeShorter = size): ImageSpec => ({
  kind: 'image',
  input: 'image',
  size,
  resizeShorter,
  scale: 1,
  mean: [0, 0, 0],
  std: [1, 1, 1],
});

async function pixels(spec: ImageSpec, item: Uint8Array): Promise<Float32Array> {
  const [first, ...more] = await createPreprocessor(spec)(item);
  assert.equal(more.length, 0);
  const { name, tensor } = first as NamedTensor;
  assert.equal(name, spec.input);
  assert.deepEqual(tensor.shape, [1, 3, spec.size, spec.size]);
  return float32Values(tensor);
}

/** Channel c of the pixel at (x, y). */
const at = (values: Float32Array, size: number, c: number, x: number, y: number): number =>
  values[(c * size + y) * size + x] as number;

function invalid(text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof TierbedError, String(error));
    assert.equal(error.kind, 'invalid');
    assert.match(`${error.message} ${error.fix}`, text);
    return true;
  };
}

describe('the image preprocessing', () => {
  it('crops the centre of a picture that needs no resizing, pixel for pixel, in planes of R, G and B', async () => {
    const png = await gradientPicture(20, 10).png().toBuffer();
    const values = await pixels(plain(8, 10), png);
    const raw = gradient(20, 10);
    for (let c = 0; c < 3; c++) {
      for (let y = 0; y < 8; y++) {
        for (let x = 0; x < 8; x++) assert.equal(at(values, 8, c, x, y), raw[((y + 1) * 20 + x + 6) * 3 + c]);
      }
    }
  });

  it('normalises: (pixel / scale - mean) / std, channel by channel', async () => {
    const png = await sharp({ create: { width: 4, height: 4, channels: 3, background: { r: 255, g: 51, b: 0 } } })
      .png()
      .toBuffer();
    const spec: ImageSpec = { ...plain(4), scale: 255, mean: [0.5, 0.1, 0.25], std: [0.5, 0.2, 0.125] };
    const values = await pixels(spec, png);
    for (const [c, want] of [1, 0.5, -2].entries()) {
      assert.ok(Math.abs(at(values, 4, c, 1, 2) - want) < 1e-6, `channel ${c}`);
    }
  });

  it('shrinks the shorter side with the support of the filter widened, and keeps the proportions', async () => {
    const png = await gradientPicture(240, 120).png().toBuffer();
    const values = await pixels(plain(60), png);
    // The centre crop of the 120 x 60 picture: columns 30 to 89 of 120, each standing for 2 of the original.
    for (const [x, y] of [
      [0, 0],
      [59, 0],
      [30, 59],
    ] as const) {
      assert.ok(Math.abs(at(values, 60, 0, x, y) - (255 * (2 * (x + 30) + 0.5)) / 239) <= 1.5, `red at ${x},${y}`);
      assert.ok(Math.abs(at(values, 60, 1, x, y) - (255 * (2 * y + 0.5)) / 119) <= 2, `green at ${x},${y}`);
    }
    const stripes = Buffer.alloc(3 * 64 * 64);
    for (let i = 0; i < 64 * 64; i++) stripes.fill(i % 2 ? 200 : 0, 3 * i, 3 * i + 3);
    const fine = await sharp(stripes, { raw: { width: 64, height: 64, channels: 3 } })
      .png()
      .toBuffer();
    for (const value of await pixels(plain(16), fine)) assert.ok(Math.abs(value - 100) <= 10, `aliased: ${value}`);
  });

  it('enlarges between the centres of the pixels', async () => {
    const line = Buffer.alloc(3 * 8 * 8);
    for (let y = 0; y < 8; y++) line.fill(200, 3 * (8 * y + 3), 3 * (8 * y + 4));
    const png = await sharp(line, { raw: { width: 8, height: 8, channels: 3 } })
      .png()
      .toBuffer();
    const values = await pixels(plain(16), png);
    // What Pillow 13's BILINEAR gives.
    assert.deepEqual(
      Array.from({ length: 16 }, (_, x) => at(values, 16, 0, x, 7)),
      [0, 0, 0, 0, 0, 50, 150, 150, 50, 0, 0, 0, 0, 0, 0, 0],
    );
  });

  it('crops an enlarged picture as if it had been enlarged as a whole', () => {
    const from = { width: 7, height: 5, pixels: gradient(7, 5) };
    const whole = enlargedCentre(from, 21, 21, 21);
    const centre = enlargedCentre(from, 21, 21, 9);
    for (let y = 0; y < 9; y++) {
      const row = 3 * ((y + 6) * 21 + 6);
      assert.deepEqual(centre.subarray(27 * y, 27 * (y + 1)), whole.subarray(row, row + 27));
    }
  });

  it('takes grey, transparent, 16-bit, paletted and CMYK pictures as RGB', async () => {
    const grey = await sharp(Buffer.alloc(64, 90), { raw: { width: 8, height: 8, channels: 1 } })
      .toColourspace('b-w')
      .png()
      .toBuffer();
    assert.equal((await sharp(grey).metadata()).channels, 1);
    assert.deepEqual(new Set(await pixels(plain(8), grey)), new Set([90]));

    const clear = { r: 10, g: 20, b: 30, alpha: 0.5 };
    const rgba = await sharp({ create: { width: 8, height: 8, channels: 4, background: clear } })
      .png()
      .toBuffer();
    const opaque = await pixels(plain(8), rgba);
    for (const [c, want] of [10, 20, 30].entries()) {
      assert.deepEqual(new Set(opaque.subarray(64 * c, 64 * (c + 1))), new Set([want]));
    }

    const background = { r: 200, g: 100, b: 50 };
    const colour = sharp({ create: { width: 8, height: 8, channels: 3, background } });
    const files = {
      palette: await colour.clone().png({ palette: true }).toBuffer(),
      sixteen: await colour.clone().toColourspace('rgb16').png().toBuffer(),
      cmyk: await colour.clone().toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer(),
    };
    assert.equal((await sharp(files.sixteen).metadata()).depth, 'ushort');
    assert.equal((await sharp(files.cmyk).metadata()).channels, 4);
    for (const [name, file] of Object.entries(files)) {
      const values = await pixels(plain(8), file);
      const tolerance = name === 'cmyk' ? 40 : 1;
      [200, 100, 50].forEach((want, c) => {
        assert.ok(Math.abs(at(values, 8, c, 4, 4) - want) <= tolerance, `${name} ${c}: ${at(values, 8, c, 4, 4)}`);
      });
    }
  });

  it('leaves a picture as it lies, whatever its EXIF orientation says', async () => {
    const jpeg = await gradientPicture(16, 8)
      .withMetadata({ orientation: 6 })
      .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
      .toBuffer();
    assert.equal((await sharp(jpeg).metadata()).orientation, 6);
    const values = await pixels(plain(8), jpeg);
    assert.ok(at(values, 8, 0, 7, 4) - at(values, 8, 0, 0, 4) > 80, 'red grows to the right');
    assert.ok(Math.abs(at(values, 8, 0, 4, 7) - at(values, 8, 0, 4, 0)) < 20, 'and not downwards');
  });

  it('refuses what is not a whole picture', async () => {
    const jpeg = await gradientPicture(256, 256).jpeg({ quality: 95 }).toBuffer();
    const text = Buffer.from('not a picture at all');
    for (const item of [Buffer.alloc(0), text, jpeg.subarray(0, 20), jpeg.subarray(0, (jpeg.byteLength * 3) >> 2)]) {
      await assert.rejects(pixels(plain(32), item), invalid(/not a readable picture/));
    }
    assert.equal((await pixels(plain(32), jpeg)).length, 3 * 32 * 32);
  });

  it('refuses a picture of more than 100 megapixels before unpacking it', async () => {
    const bomb = await sharp({ create: { width: 20_000, height: 6_000, channels: 3, background: 'black' } })
      .png({ compressionLevel: 9 })
      .toBuffer();
    assert.ok(bomb.byteLength < 2_000_000);
    await assert.rejects(pixels(plain(32), bomb), invalid(/not a readable picture.*pixel/));
  });

  it('refuses a spec that makes no sense', () => {
    const bad: Partial<ImageSpec>[] = [
      { size: 0 },
      { size: 1.5 },
      { resizeShorter: 4 },
      { scale: 0 },
      { std: [1, 0, 1] },
    ];
    for (const over of bad)
      assert.throws(() => createPreprocessor({ ...plain(8), ...over }), invalid(/preprocessing 'image'/));
    assert.throws(() => createPreprocessor({ kind: 'sound' } as unknown as PreprocessSpec), invalid(/image, tensors/));
  });

  it('takes many pictures at once', async () => {
    const png = await gradientPicture(40, 40).png().toBuffer();
    const preprocess = createPreprocessor(plain(20));
    const all = await Promise.all(Array.from({ length: 20 }, () => preprocess(png)));
    for (const inputs of all) assert.deepEqual(inputs, all[0]);
  });
});

describe('the tensors preprocessing', () => {
  it('gives the tensors of an item file', async () => {
    const data = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);
    const item = encodeItemFile([{ name: 'ids', tensor: { dtype: 'int32', shape: [1, 2], data } }]);
    const [input] = await createPreprocessor({ kind: 'tensors' })(item);
    assert.equal(input?.name, 'ids');
    assert.deepEqual(input?.tensor.shape, [1, 2]);
    assert.deepEqual(new Uint8Array(input?.tensor.data as Uint8Array), data);
    await assert.rejects(createPreprocessor({ kind: 'tensors' })(Buffer.from('{}')), invalid(/not an item file/));
  });
});
