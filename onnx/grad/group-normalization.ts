import { floatAttr, intAttr } from '../attribute.js';
import type { Value } from '../build.js';
import { elementCount } from '../tensor.js';
import type { GradNode } from './grad-node.js';
import { normalise, throughNormalisation } from './normalised.js';
import type { GradRule } from './rule.js';

/**
 * Y = scale X' + bias, X' being X with mean 0 and variance 1 over a group of channels of an item (Wu and He, ECCV 2018).
 * Scale and bias are a number a channel, in ai.onnx 18 one a group.
 */
export const groupNormalization: GradRule = {
  opTypes: ['GroupNormalization'],
  gradient(at) {
    const groups = intAttr(at.node, 'num_groups');
    if (groups === undefined) throw at.error('it has no num_groups');
    return gradients(at, groups);
  },
};

/** The same with a group for every channel. */
export const instanceNormalization: GradRule = {
  opTypes: ['InstanceNormalization'],
  gradient: (at) => gradients(at, at.inputShape(0)[1] as number),
};

function gradients(at: GradNode, groups: number): readonly (Value | undefined)[] {
  const shape = at.inputShape(0);
  const [items, channels] = shape as [number, number];
  const size = elementCount(shape) / items / groups;
  // One number of scale and bias holds for [items, scales, cells].
  const scales = at.inputShape(1)[0] as number;
  const blocks = [items, scales, elementCount(shape) / items / scales];
  if (scales !== channels && scales !== groups) throw at.error(`its scale has ${scales} elements`);
  const overBlocks = (x: Value): Value => at.sum(at.reshape(x, blocks), [0, 2]);
  const bias = at.wants(2) ? overBlocks(at.dY) : undefined;
  if (!at.wants(0) && !at.wants(1)) return [undefined, undefined, bias];
  const epsilon = floatAttr(at.node, 'epsilon') ?? 1e-5;
  const of = normalise(at, { x: at.reshape(at.input(0), [items * groups, size]), size, epsilon });
  const scale = at.wants(1)
    ? overBlocks(at.emit('Mul', [at.reshape(at.dY, [items * groups, size]), of.values]))
    : undefined;
  if (!at.wants(0)) return [undefined, scale, bias];
  const scaled = at.emit('Mul', [at.reshape(at.dY, blocks), at.reshape(at.input(1), [scales, 1])]);
  const d = at.reshape(scaled, [items * groups, size]);
  const mean = at.mean(d, [1], true);
  const product = at.mean(at.emit('Mul', [d, of.values]), [1], true);
  return [at.reshape(throughNormalisation(at, of, d, mean, product), shape), scale, bias];
}
