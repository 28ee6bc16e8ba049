export type Colour = readonly [number, number, number];

/** A picture in the making: interleaved RGB as floats, 0 to 255 nominally, so that light can go past white and back. */
export class Canvas {
  readonly width: number;
  readonly height: number;
  readonly pixels: Float32Array;

  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
    this.pixels = new Float32Array(3 * width * height);
  }

  /**
   * Paints a form over what is there, its edge smoothed over one pixel.
   *
   * @param reach no point of the form is further than this from (cx, cy), in pixels
   * @param inside how far a point is inside the form, in pixels; negative outside
   * @param colour of the point, asked only where the form is
   */
  paint(
    cx: number,
    cy: number,
    reach: number,
    inside: (dx: number, dy: number) => number,
    colour: (dx: number, dy: number) => Colour,
  ): void {
    const { width, height, pixels } = this;
    const top = Math.max(0, Math.floor(cy - reach - 1));
    const bottom = Math.min(height - 1, Math.ceil(cy + reach + 1));
    const left = Math.max(0, Math.floor(cx - reach - 1));
    const right = Math.min(width - 1, Math.ceil(cx + reach + 1));
    for (let y = top; y <= bottom; y++) {
      for (let x = left; x <= right; x++) {
        const coverage = inside(x - cx, y - cy) + 0.5;
        if (coverage <= 0) continue;
        const alpha = Math.min(coverage, 1);
        const paint = colour(x - cx, y - cy);
        const at = 3 * (y * width + x);
        for (let c = 0; c < 3; c++) {
          const old = pixels[at + c] as number;
          pixels[at + c] = old + alpha * ((paint[c] as number) - old);
        }
      }
    }
  }

  /** The picture as bytes, rounded and clipped. */
  toBytes(): Uint8Array {
    const { pixels } = this;
    const bytes = new Uint8Array(pixels.length);
    for (let i = 0; i < pixels.length; i++) {
      const value = (pixels[i] as number) + 0.5;
      bytes[i] = Math.min(255, Math.max(0, value));
    }
    return bytes;
  }
}
