import type { Checkpoint } from './checkpoint.js';
import type { Setup } from './setup.js';
import type { CurvePoint, TrainPlugin } from './types.js';

/** Where a training is, beside its arrays: what a checkpoint has of it. */
export interface Position {
  /** Steps taken. */
  readonly step: number;
  /** Over the steps of the epoch so far. */
  readonly lossSum: number;
  /** Of the epoch so far. */
  readonly seconds: number;
  /** Of the first step; null before it. */
  readonly firstLoss: number | null;
  /** The share of the last steps whose loss was many times the first, 0 to 1: a running mean. */
  readonly highLosses: number;
  readonly curve: readonly CurvePoint[];
  /** The epoch, from 1, with the best value on the tuning part; null before there is one. */
  readonly best: { readonly epoch: number; readonly value: number } | null;
  /** It has come to its end. */
  readonly done: boolean;
}

export const START: Position = {
  ...{ step: 0, lossSum: 0, seconds: 0, firstLoss: null, highLosses: 0, curve: [], best: null, done: false },
};

/** Every array that a training goes on from, by a name of its own; views, not copies. */
export function keptArrays(
  { arrays, slots }: Pick<Setup, 'arrays' | 'slots'>,
  best: ReadonlyMap<string, Float32Array>,
  plugins: readonly TrainPlugin[],
): ReadonlyMap<string, Float32Array> {
  return new Map([
    ...[...arrays].map(([name, values]) => [`array/${name}`, values] as const),
    ...[...slots].flatMap(([name, list]) => list.map((values, i) => [`slot${i}/${name}`, values] as const)),
    ...[...best].map(([name, values]) => [`best/${name}`, values] as const),
    ...plugins.flatMap(({ name, state = {} }) =>
      Object.entries(state).map(([key, values]) => [`plugin/${name}/${key}`, values] as const),
    ),
  ]);
}

/** Puts a checkpoint's arrays into those of a training. @returns where it was */
export function restore(checkpoint: Checkpoint, into: ReadonlyMap<string, Float32Array>): Position {
  for (const [name, values] of into) {
    const kept = checkpoint.arrays.get(name);
    if (kept) values.set(kept);
  }
  return checkpoint.state as Position;
}
