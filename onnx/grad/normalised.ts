import { float, type Value } from '../build.js';
import type { GradNode } from './grad-node.js';

/** Rows that were brought to mean 0 and variance 1, scaled and shifted. */
export interface NormalisedRows {
  /** X as [rows, size]. */
  readonly x: Value;
  readonly size: number;
  readonly epsilon: number;
}

/** What the gradients are made of. */
export interface Normalised {
  /** [rows, size]: X with mean 0 and variance 1 in each row. */
  readonly values: Value;
  /** [rows, 1]: 1 / sqrt(variance + epsilon) */
  readonly inverse: Value;
}

/** Normalises rows anew: nothing of the forward pass but X need stay. */
export function normalise(at: GradNode, { x, size, epsilon }: NormalisedRows): Normalised {
  const ones = at.emit('Expand', [at.scalar(1), at.builder.int64([size])]);
  const outputs = at.emitMany('LayerNormalization', [x, ones], 3, { axis: -1, epsilon: float(epsilon) });
  return { values: outputs[0] as Value, inverse: outputs[2] as Value };
}

/**
 * The gradient by rows of that by their normalised values (Ba, Kiros and Hinton, arXiv:1607.06450):
 * inverse (d - mean(d) - values mean(d values)), means over a row.
 *
 * @param d [rows, size]
 * @param mean [rows, 1]: that of d
 * @param product [rows, 1]: the mean of d values
 */
export function throughNormalisation(at: GradNode, of: Normalised, d: Value, mean: Value, product: Value): Value {
  const along = at.emit('Mul', [of.values, product]);
  return at.emit('Mul', [at.emit('Sub', [at.emit('Sub', [d, mean]), along]), of.inverse]);
}
