import { sharpModule } from '../../sharp-module.js';
import type { WorkloadPart } from '../../types.js';
import { PICTURE_HEIGHT, PICTURE_WIDTH, renderPicture } from './render.js';

/** As cameras set it: hardly any loss to be seen. */
const JPEG_QUALITY = 95;

/** A picture as a camera gives it: the same seed, part and index give the same JPEG. */
export async function encodedPicture(seed: number, part: WorkloadPart, index: number): Promise<Uint8Array> {
  const sharp = await sharpModule();
  const raw = { width: PICTURE_WIDTH, height: PICTURE_HEIGHT, channels: 3 } as const;
  return sharp(renderPicture(seed, part, index), { raw })
    .jpeg({ quality: JPEG_QUALITY })
    .toBuffer();
}
