import type { Random } from '../../../base/random.js';

/** A convolution filter that is one colour mix (R, G, B) times one pattern over the window. */
interface StemFilter {
  readonly mix: readonly [number, number, number];
  pattern(x: number, y: number): number;
}

const GREY = [0.299, 0.587, 0.114] as const;
const RED_GREEN = [0.5, -0.5, 0] as const;
const BLUE_YELLOW = [-0.25, -0.25, 0.5] as const;

/** A sinusoid under a Gaussian (Gabor 1946; Daugman 1985): phase 0 finds light bars, pi / 2 finds edges. */
function gabor(angle: number, wavelength: number, sigma: number, phase: number): StemFilter['pattern'] {
  const [ux, uy] = [Math.cos(angle), Math.sin(angle)];
  return (x, y) => {
    const envelope = Math.exp(-(x * x + y * y) / (2 * sigma * sigma));
    return envelope * Math.cos((2 * Math.PI * (x * ux + y * uy)) / wavelength + phase);
  };
}

/**
 * The 32 filters of the first layer, after the first stage of sight: edges in 16 directions and bars in 8 orientations in
 * grey, and edges in 8 directions in colour.
 */
function stemFilters(): readonly StemFilter[] {
  const edge = (angle: number): StemFilter['pattern'] => gabor(angle, 7, 1.6, Math.PI / 2);
  const turn = (share: number): number => 2 * Math.PI * share;
  return [
    ...Array.from({ length: 16 }, (_, i) => ({ mix: GREY, pattern: edge(turn(i / 16)) })),
    ...Array.from({ length: 8 }, (_, i) => ({ mix: GREY, pattern: gabor(turn(i / 16), 4.5, 1.5, 0) })),
    ...Array.from({ length: 8 }, (_, i) => ({ mix: i % 2 ? BLUE_YELLOW : RED_GREEN, pattern: edge(turn(i / 8)) })),
  ];
}

/** Weights [32, 3, side, side] of the first layer; each filter has sum 0 and length 1. */
export function stemWeights(side: number): Float32Array {
  const area = side * side;
  const middle = (side - 1) / 2;
  const filters = stemFilters();
  const weights = new Float32Array(filters.length * 3 * area);
  filters.forEach(({ mix, pattern }, f) => {
    const window = Float64Array.from({ length: area }, (_, i) =>
      pattern((i % side) - middle, Math.floor(i / side) - middle),
    );
    const mean = window.reduce((sum, w) => sum + w, 0) / area;
    const square = window.reduce((sum, w) => sum + (w - mean) ** 2, 0) * mix.reduce((sum, m) => sum + m * m, 0);
    mix.forEach((m, c) => {
      for (let i = 0; i < area; i++) {
        weights[(f * 3 + c) * area + i] = (m * ((window[i] as number) - mean)) / Math.sqrt(square);
      }
    });
  });
  return weights;
}

/**
 * A random matrix whose rows, in groups of at most `columns`, are orthogonal and of length `gain` (Saxe, McClelland and
 * Ganguli, ICLR 2014): Gram-Schmidt on normal numbers.
 */
export function orthogonalRows(random: Random, rows: number, columns: number, gain: number): Float32Array {
  const matrix = new Float32Array(rows * columns);
  let group: Float64Array[] = [];
  for (let r = 0; r < rows; r++) {
    if (r % columns === 0) group = [];
    const row = Float64Array.from({ length: columns }, () => random.normal());
    for (const other of group) {
      const along = dot(row, other);
      for (let i = 0; i < columns; i++) row[i] = (row[i] as number) - along * (other[i] as number);
    }
    const length = Math.sqrt(dot(row, row));
    for (let i = 0; i < columns; i++) {
      row[i] = (row[i] as number) / length;
      matrix[r * columns + i] = gain * (row[i] as number);
    }
    group.push(row);
  }
  return matrix;
}

/** Weights [to, from, 3, 3] that pass the `from` channels on as they are and add random ones up to `to`. */
export function wideningWeights(random: Random, from: number, to: number, gain: number): Float32Array {
  const weights = new Float32Array(to * from * 9);
  for (let c = 0; c < from; c++) weights[(c * from + c) * 9 + 4] = 1;
  weights.set(orthogonalRows(random, to - from, from * 9, gain), from * from * 9);
  return weights;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}
