import { TierbedError } from '../../base/errors.js';
import type { LayerWeight } from './weights.js';

/**
 * What goes together. `NxM`: blocks of N consecutive outputs and M consecutive inputs, as 1x1, 2x1, 4x1. `N:M`: of each M
 * consecutive inputs N stay (Zhou et al., ICLR 2021, arXiv:2102.04010).
 */
export type Pattern =
  | { readonly kind: 'block'; readonly rows: number; readonly columns: number }
  | { readonly kind: 'run'; readonly stay: number; readonly of: number };

/** @throws TierbedError `invalid` for a text that is no pattern */
export function parsePattern(text: string): Pattern {
  const block = /^([1-9]\d{0,3})x([1-9]\d{0,3})$/.exec(text);
  if (block) return { kind: 'block', rows: Number(block[1]), columns: Number(block[2]) };
  const run = /^([1-9]\d{0,3}):([1-9]\d{0,3})$/.exec(text);
  if (run && Number(run[1]) < Number(run[2])) return { kind: 'run', stay: Number(run[1]), of: Number(run[2]) };
  throw new TierbedError('invalid', `prune: '${text}' is no pattern`, {
    fix: 'Write blocks as 1x1, 2x1 or 4x1, and runs as 2:4: of each 4 consecutive inputs 2 stay.',
  });
}

/** Blocks of a weight; those at its ends may be smaller. */
export interface Blocks {
  readonly count: number;
  /** Calls back with every element and its block. */
  each(visit: (element: number, block: number) => void): void;
}

/** The blocks of rows by columns of a weight, each at one place of the kernel. */
export function blocksOf(weight: LayerWeight, rows: number, columns: number): Blocks {
  const { outputs, inputs, places, outputStride, inputStride } = weight;
  const across = Math.ceil(inputs / columns);
  return {
    count: Math.ceil(outputs / rows) * across * places,
    each(visit) {
      for (let o = 0; o < outputs; o++) {
        const row = Math.floor(o / rows) * across;
        for (let i = 0; i < inputs; i++) {
          const block = (row + Math.floor(i / columns)) * places;
          const start = o * outputStride + i * inputStride;
          for (let k = 0; k < places; k++) visit(start + k, block + k);
        }
      }
    },
  };
}
