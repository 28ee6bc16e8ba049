import { floatAttr, intAttr } from '../attribute.js';
import { float, type Value } from '../build.js';
import { elementCount } from '../tensor.js';
import { besidesChannels } from './axes.js';
import { batchStatisticsOf } from './batch-statistics.js';
import type { GradNode } from './grad-node.js';
import type { GradRule } from './rule.js';

/**
 * Y = scale (X - mean) / sqrt(variance + epsilon) + bias, a channel at a time. With constant statistics that is linear in
 * X. With those of the batch (`emitBatchNormalization`), which themselves depend on X, the whole has a closed form (Ioffe
 * and Szegedy, ICML 2015, section 3): then nothing goes to the statistics.
 */
export const batchNormalization: GradRule = {
  opTypes: ['BatchNormalization'],
  gradient(at) {
    if ((intAttr(at.node, 'training_mode') ?? 0) !== 0) throw at.error('it is in its own training mode');
    const epsilon = at.scalar(floatAttr(at.node, 'epsilon') ?? 1e-5);
    const inverse = at.emit('Reciprocal', [at.emit('Sqrt', [at.emit('Add', [at.input(4), epsilon])])]);
    const slope = (): Value => at.emit('Mul', [at.input(1), inverse]);
    const ofBatch = at.wants(3) || at.wants(4);
    if (!ofBatch && !at.wants(1) && !at.wants(2)) return [scaled(at, at.dY, slope())];
    const bias = overPlaces(at, at.dY);
    if (!ofBatch && !at.wants(1)) return [at.wants(0) ? scaled(at, at.dY, slope()) : undefined, undefined, bias];
    const centred = centredInput(at, ofBatch);
    const scale = at.emit('Mul', [inverse, overPlaces(at, at.emit('Mul', [at.dY, centred]))]);
    if (!ofBatch) return [at.wants(0) ? scaled(at, at.dY, slope()) : undefined, scale, bias];
    return [throughStatistics(at, { centred, inverse, slope: slope(), scale, bias }), scale, bias];
  },
};

/** dX = slope (dY - mean(dY) - X' mean(dY X')), X' being X without mean and with variance 1. */
function throughStatistics(
  at: GradNode,
  parts: { centred: Value; inverse: Value; slope: Value; scale: Value; bias: Value },
): Value {
  const shape = at.inputShape(0);
  const share = at.scalar(-1 / (elementCount(shape) / (shape[1] as number)));
  const common = at.emit('Mul', [parts.bias, share]);
  const bend = at.emit('Mul', [at.emit('Mul', [parts.scale, share]), parts.inverse]);
  return scaled(at, at.emit('Add', [at.dY, straight(at, parts.centred, bend, common)]), parts.slope);
}

/** x * factor + term by channel, in one pass over x: a normalisation of what has mean 0 and variance 1. */
function straight(at: GradNode, x: Value, factor: Value, term: Value): Value {
  const channels = at.builder.int64([at.inputShape(0)[1] as number]);
  const [zeros, ones] = [0, 1].map((each) => at.emit('Expand', [at.scalar(each), channels]));
  // Beside 1 the epsilon is nothing in float32.
  return at.emit('BatchNormalization', [x, factor, term, zeros, ones], { epsilon: float(1e-30) });
}

/** X without its channels' means. */
function centredInput(at: GradNode, ofBatch: boolean): Value {
  const known = batchStatisticsOf(at.node);
  if (ofBatch && at.input(3) !== known.mean) throw at.error('its statistics are trained, and not those of its batch');
  // The forward pass made it for the variance.
  if (ofBatch) return known.centred;
  return at.emit('Sub', [at.input(0), perChannel(at, at.input(3))]);
}

/** The sum over all axes but the channels'. */
function overPlaces(at: GradNode, x: Value): Value {
  const axes = besidesChannels(at.inputShape(0));
  return at.sum(x, axes);
}

function scaled(at: GradNode, x: Value, factor: Value): Value {
  return at.emit('Mul', [x, perChannel(at, factor)]);
}

/** [channels] as it is broadcast over X. */
function perChannel(at: GradNode, values: Value): Value {
  const shape = at.inputShape(0);
  if (shape.length === 2) return values;
  return at.reshape(values, [shape[1] as number, ...shape.slice(2).map(() => 1)]);
}
