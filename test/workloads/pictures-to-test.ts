import sharp, { type Sharp } from 'sharp';

/** A picture whose red grows to the right, green downwards, with constant blue: every pixel tells where it is. */
export function gradient(width: number, height: number): Buffer {
  const pixels = Buffer.alloc(3 * width * height);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      pixels[at] = Math.round((255 * x) / (width - 1));
      pixels[at + 1] = Math.round((255 * y) / (height - 1));
      pixels[at + 2] = 77;
    }
  }
  return pixels;
}

/** The gradient as a sharp picture, to be encoded as the test wants it. */
export const gradientPicture = (width: number, height: number): Sharp =>
  sharp(gradient(width, height), { raw: { width, height, channels: 3 } });
