import { Random } from '../../../base/random.js';
import type { WorkloadPart } from '../../types.js';
import { Canvas, type Colour } from './canvas.js';
import { PICTURE_CLASSES, type PictureClass } from './classes.js';

export const PICTURE_WIDTH = 320;
export const PICTURE_HEIGHT = 240;

/**
 * Picture `index` of a part, as interleaved RGB bytes: an object of class `index % 12` in a random place, size, attitude
 * and colours, before a mottled background among clutter, partly covered, unevenly lit, with the noise of a sensor.
 * It depends on seed, part and index alone.
 */
export function renderPicture(seed: number, part: WorkloadPart, index: number): Uint8Array {
  const random = new Random(seed).fork(`${part} ${index}`);
  const canvas = new Canvas(PICTURE_WIDTH, PICTURE_HEIGHT);
  const background = anyColour(random);
  paintBackground(canvas, random, background);
  paintClutter(canvas, random, 4 + random.integer(8));
  paintObject(canvas, random, PICTURE_CLASSES[index % PICTURE_CLASSES.length] as PictureClass, background);
  paintClutter(canvas, random, 2 + random.integer(4));
  lightAndNoise(canvas, random, sensorNoise(seed));
  return canvas.toBytes();
}

const anyColour = (random: Random): Colour => [
  random.uniform(20, 235),
  random.uniform(20, 235),
  random.uniform(20, 235),
];

const luma = ([r, g, b]: Colour): number => 0.299 * r + 0.587 * g + 0.114 * b;

/** A colour at least `contrast` lighter or darker than another. */
function unlike(random: Random, other: Colour, contrast: number): Colour {
  for (;;) {
    const colour = anyColour(random);
    if (Math.abs(luma(colour) - luma(other)) >= contrast) return colour;
  }
}

/** One colour, mottled by values on a coarse grid with linear steps between them. */
function paintBackground(canvas: Canvas, random: Random, colour: Colour): void {
  const cell = 40;
  const columns = Math.ceil(canvas.width / cell) + 1;
  const rows = Math.ceil(canvas.height / cell) + 1;
  const strength = random.uniform(8, 36);
  const grid = random.fillUniform(new Float32Array(columns * rows * 3), -strength, strength);
  const line = new Float32Array(3 * columns);
  for (let y = 0, at = 0; y < canvas.height; y++) {
    const row = Math.floor(y / cell);
    const fy = y / cell - row;
    for (let i = 0; i < line.length; i++) {
      const upper = grid[row * line.length + i] as number;
      const lower = grid[(row + 1) * line.length + i] as number;
      line[i] = (colour[i % 3] as number) + upper + fy * (lower - upper);
    }
    for (let x = 0; x < canvas.width; x++) {
      const column = Math.floor(x / cell);
      const fx = x / cell - column;
      for (let i = 3 * column; i < 3 * column + 3; i++, at++) {
        const left = line[i] as number;
        canvas.pixels[at] = left + fx * ((line[i + 3] as number) - left);
      }
    }
  }
}

/** Strokes and blobs anywhere. */
function paintClutter(canvas: Canvas, random: Random, count: number): void {
  for (let i = 0; i < count; i++) {
    const colour = anyColour(random);
    const cx = random.uniform(0, canvas.width);
    const cy = random.uniform(0, canvas.height);
    if (random.uniform() < 0.35) {
      const radius = random.uniform(4, 13);
      canvas.paint(
        cx,
        cy,
        radius,
        (dx, dy) => radius - Math.sqrt(dx * dx + dy * dy),
        () => colour,
      );
    } else {
      paintStroke(
        canvas,
        cx,
        cy,
        random.uniform(15, 60),
        random.uniform(1.2, 4),
        random.uniform(0, Math.PI),
        () => colour,
      );
    }
  }
}

/** A line with round ends, `half` its length to each side of the centre. */
function paintStroke(
  canvas: Canvas,
  cx: number,
  cy: number,
  half: number,
  thickness: number,
  angle: number,
  colour: () => Colour,
): void {
  const [ux, uy] = [Math.cos(angle), Math.sin(angle)];
  canvas.paint(
    cx,
    cy,
    half + thickness,
    (dx, dy) => {
      const along = Math.max(-half, Math.min(half, dx * ux + dy * uy));
      const [px, py] = [dx - along * ux, dy - along * uy];
      return thickness - Math.sqrt(px * px + py * py);
    },
    colour,
  );
}

function paintObject(canvas: Canvas, random: Random, kind: PictureClass, background: Colour): void {
  const radius = random.uniform(36, 84);
  const cx = canvas.width / 2 + random.uniform(-40, 40);
  const cy = canvas.height / 2 + random.uniform(-40, 40);
  const angle = random.uniform(-0.6, 0.6);
  const first = unlike(random, background, 30);
  const second = unlike(random, first, 30);
  const { pattern } = kind;
  const [ux, uy] = [Math.cos(angle) / radius, Math.sin(angle) / radius];
  canvas.paint(
    cx,
    cy,
    radius,
    (dx, dy) => radius * kind.outline(dx * ux + dy * uy, dy * ux - dx * uy),
    pattern ? (dx, dy) => (pattern(dx * ux + dy * uy, dy * ux - dx * uy) > 0 ? first : second) : () => first,
  );
}

const NOISE_VALUES = 1 << 16;
let noise: { readonly seed: number; readonly values: Float32Array } | undefined;

/** Normally distributed values that all pictures of a seed draw their noise from, each row from a place of its own. */
function sensorNoise(seed: number): Float32Array {
  if (noise?.seed !== seed) {
    noise = { seed, values: new Random(seed).fork('noise').fillNormal(new Float32Array(NOISE_VALUES)) };
  }
  return noise.values;
}

/** Light of the dimmest and of the brightest pictures, of what makes white white. */
const DIMMEST = 0.25;
const BRIGHTEST = 1.15;

/**
 * Light that falls off across the picture, each stop of it as likely as the next, then noise that grows in the dark of it,
 * as a sensor's gain does.
 */
function lightAndNoise(canvas: Canvas, random: Random, values: Float32Array): void {
  const { width, height, pixels } = canvas;
  const gain = Math.exp(random.uniform(Math.log(DIMMEST), Math.log(BRIGHTEST)));
  const slopeX = random.uniform(-0.35, 0.35) / width;
  const slopeY = random.uniform(-0.35, 0.35) / height;
  const sd = random.uniform(4, 20) / Math.sqrt(gain);
  for (let y = 0, at = 0; y < height; y++) {
    const from = random.integer(NOISE_VALUES);
    for (let x = 0; x < width; x++) {
      const light = gain * (1 + slopeX * (x - width / 2) + slopeY * (y - height / 2));
      for (let c = 0; c < 3; c++, at++) {
        pixels[at] = (pixels[at] as number) * light + sd * (values[(from + 3 * x + c) & (NOISE_VALUES - 1)] as number);
      }
    }
  }
}
