import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../../base/paths.js';

/** What PyTorch made of the same: written by bench/peers/train_reference.py. */
export interface TorchFixture {
  readonly optimizers: {
    readonly start: readonly number[];
    readonly gradients: readonly (readonly number[])[];
    readonly weights: Readonly<Record<string, readonly (readonly number[])[]>>;
  };
  readonly schedules: Readonly<Record<string, readonly number[]>>;
  readonly clipping: {
    readonly gradients: readonly (readonly number[])[];
    readonly norm: number;
    readonly clipped: readonly (readonly number[])[];
  };
  readonly training: {
    readonly x: readonly (readonly number[])[];
    readonly y: readonly number[];
    readonly start: Readonly<Record<string, readonly number[]>>;
    readonly losses: readonly number[];
    readonly end: Readonly<Record<string, readonly number[]>>;
  };
}

export const torch = JSON.parse(
  readFileSync(join(packageRoot, 'test', 'operators', 'train', 'fixtures', 'torch.json'), 'utf8'),
) as TorchFixture;

/** The largest difference between two lists of numbers. */
export function farthest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] as number))), 0);
}
