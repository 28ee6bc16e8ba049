/** A picture as interleaved RGB bytes. */
export interface RgbPicture {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

/**
 * The centre `size` x `size` of a picture enlarged to `width` x `height`, bilinear between the centres of the pixels (as
 * Pillow and most frameworks have it; libvips enlarges from the pixels' corners, half a pixel off).
 */
export function enlargedCentre(from: RgbPicture, width: number, height: number, size: number): Uint8Array {
  const columns = taps(from.width, width, Math.floor((width - size) / 2), size);
  const rows = taps(from.height, height, Math.floor((height - size) / 2), size);
  const { pixels } = from;
  const stride = 3 * from.width;
  const result = new Uint8Array(3 * size * size);
  let to = 0;
  for (const row of rows) {
    const [upper, lower] = [row.first * stride, row.second * stride];
    for (const column of columns) {
      const [left, right] = [3 * column.first, 3 * column.second];
      for (let c = 0; c < 3; c++) {
        const top = mix(pixels[upper + left + c], pixels[upper + right + c], column.share);
        const bottom = mix(pixels[lower + left + c], pixels[lower + right + c], column.share);
        result[to++] = Math.round(mix(top, bottom, row.share));
      }
    }
  }
  return result;
}

const mix = (a = 0, b = 0, share: number): number => a + share * (b - a);

/** For `count` places of an enlarged line from `start` on: the two places of the line they lie between, and how far along. */
function taps(length: number, enlarged: number, start: number, count: number) {
  return Array.from({ length: count }, (_, i) => {
    const at = ((start + i + 0.5) * length) / enlarged - 0.5;
    const clamped = Math.min(length - 1, Math.max(0, at));
    const first = Math.floor(clamped);
    return { first, second: Math.min(length - 1, first + 1), share: clamped - first };
  });
}
