import { floatAttr, intAttr } from '../../attribute.js';
import type { Value } from '../../build.js';
import type { GradRule } from '../rule.js';
import { BLOCKED } from './domain.js';
import { BlockedEmitter, type Picture } from './emit.js';

/**
 * The gradients of a normalisation in the blocked layout, in the closed form of Ioffe and Szegedy (ICML 2015, section 3)
 * where the statistics are the batch's: nothing goes to these.
 */
export const blockedNormalisation: GradRule = {
  opTypes: ['BatchNormalization'],
  domain: BLOCKED,
  gradient(at) {
    const to = new BlockedEmitter(at.builder, intAttr(at.node, 'block') as number);
    const shape = at.inputShape(0) as unknown as Picture;
    const [n, channels, height, width] = shape;
    const [, scale, , mean, variance] = at.node.inputs as readonly [Value, Value, Value, Value, Value];
    const epsilon = at.scalar(floatAttr(at.node, 'epsilon') ?? 1e-5);
    const inverse = at.emit('Reciprocal', [at.emit('Sqrt', [at.emit('Add', [variance, epsilon])])]);
    const slope = at.emit('Mul', [scale, inverse]);
    const ofBatch = intAttr(at.node, 'batch') === 1;
    const needsSums = ofBatch || at.wants(1) || at.wants(2);
    if (!needsSums) return [to.affine(at.dY, channels, slope)];
    const average = to.mean(at.dY, shape);
    const dBias = at.emit('Mul', [average, at.scalar(n * height * width)]);
    const product = to.dot(at.input(0), at.dY, shape);
    const dScale = at.emit('Mul', [inverse, at.emit('Sub', [product, at.emit('Mul', [mean, dBias])])]);
    const dX = (): Value => {
      if (!ofBatch) return to.affine(at.dY, channels, slope);
      const share = at.emit('Mul', [dScale, at.scalar(-1 / (n * height * width))]);
      const bend = at.emit('Mul', [share, at.emit('Mul', [slope, inverse])]);
      const level = at.emit('Add', [at.emit('Mul', [slope, average]), at.emit('Mul', [bend, mean])]);
      const along = to.affine(at.input(0), channels, bend, at.emit('Neg', [level]));
      return to.affine(at.dY, channels, slope, undefined, { sum: along });
    };
    return [at.wants(0) ? dX() : undefined, dScale, dBias];
  },
};

/** Adds the mean and the variance of a blocked picture's channels: names of tensors [C]. */
export function emitStatistics(
  to: BlockedEmitter,
  x: Value,
  shape: Picture,
  names: { readonly mean: string; readonly variance: string },
): void {
  const [n, , height, width] = shape;
  const { builder } = to;
  to.emit('Identity', [to.mean(x, shape)], {}, names.mean);
  const squares = to.emit('Mul', [to.dot(x, x, shape), builder.float32(1 / (n * height * width))]);
  const square = to.emit('Mul', [names.mean, names.mean]);
  // Rounding may leave less than nothing of a channel that is the same everywhere.
  to.emit('Relu', [to.emit('Sub', [squares, square])], {}, names.variance);
}

/** Adds the normalisation itself, under a name. */
export function emitNormalisation(
  to: BlockedEmitter,
  inputs: readonly Value[],
  channels: number,
  epsilon: number,
  name: string,
): void {
  const { builder } = to;
  const [x, scale, bias, mean, variance] = inputs as readonly [Value, Value, Value, Value, Value];
  const deviation = to.emit('Sqrt', [to.emit('Add', [variance, builder.float32(epsilon)])]);
  const slope = to.emit('Div', [scale, deviation]);
  const level = to.emit('Sub', [bias, to.emit('Mul', [mean, slope])]);
  to.affine(x, channels, slope, level, { name });
}
