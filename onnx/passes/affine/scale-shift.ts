import { floatAttr, intAttr } from '../../attribute.js';
import type { Node } from '../../model.js';
import { isOnnxDomain } from '../walk.js';

/** y = scale * x + shift, a scale and a shift a channel (axis 1). Doubles, so that folding rounds once. */
export interface ScaleShift {
  readonly scale: Float64Array;
  readonly shift: Float64Array;
}

/** A constant as folding reads it. */
export interface Weight {
  readonly dims: readonly number[];
  readonly values: Float32Array;
}

/** A float32 weight of the graph by name; undefined for anything else. */
export type WeightOf = (name: string | undefined) => Weight | undefined;

/** What a node does to each channel, and which tensor it does it to. */
export interface ScaleShiftNode extends ScaleShift {
  readonly data: string;
}

/** BatchNormalization in inference (Ioffe and Szegedy 2015): scale = gamma / sqrt(var + eps), shift = beta - mean * scale. */
export function batchNorm(node: Node, weightOf: WeightOf): ScaleShiftNode | undefined {
  if (node.opType !== 'BatchNormalization' || !isOnnxDomain(node.domain)) return undefined;
  // Before opset 9 the statistics could be per element; from 14 on the node may update them.
  if (intAttr(node, 'spatial') === 0 || intAttr(node, 'training_mode') === 1) return undefined;
  const [data, ...names] = node.inputs;
  const [gamma, beta, mean, variance] = names.map((name) => weightOf(name)?.values);
  if (!data || !gamma || !beta || !mean || !variance) return undefined;
  const epsilon = floatAttr(node, 'epsilon') ?? Math.fround(1e-5);
  const scale = Float64Array.from(gamma, (g, c) => g / Math.sqrt((variance[c] as number) + epsilon));
  const shift = Float64Array.from(beta, (b, c) => b - (mean[c] as number) * (scale[c] as number));
  return finite({ data, scale, shift });
}

/**
 * Mul, Add, Sub or Div by a constant that has one element, or one a channel.
 *
 * @param rank of the data: a constant of higher rank would raise it
 * @param channels of the data
 */
export function channelwise(
  node: Node,
  weightOf: WeightOf,
  rank: number,
  channels: number,
): ScaleShiftNode | undefined {
  if (!isOnnxDomain(node.domain)) return undefined;
  const [a = '', b = ''] = node.inputs;
  const swapped = (node.opType === 'Mul' || node.opType === 'Add') && weightOf(b) === undefined;
  const [data, constant] = swapped ? [b, a] : [a, b];
  const weight = weightOf(constant);
  const values = weight && perChannel(weight, rank, channels);
  if (!values) return undefined;
  const ones = new Float64Array(channels).fill(1);
  const zeros = new Float64Array(channels);
  switch (node.opType) {
    case 'Mul':
      return finite({ data, scale: values, shift: zeros });
    case 'Div':
      return finite({ data, scale: values.map((v) => 1 / v), shift: zeros });
    case 'Add':
      return finite({ data, scale: ones, shift: values });
    case 'Sub':
      return finite({ data, scale: ones, shift: values.map((v) => -v) });
    default:
      return undefined;
  }
}

/** A constant that broadcasts along every axis but 1, as one element a channel. */
function perChannel({ dims, values }: Weight, rank: number, channels: number): Float64Array | undefined {
  if (dims.length > rank) return undefined;
  const aligned = [...new Array<number>(rank - dims.length).fill(1), ...dims];
  if (aligned.some((dim, axis) => dim !== 1 && !(axis === 1 && dim === channels))) return undefined;
  return values.length === 1 ? new Float64Array(channels).fill(values[0] as number) : Float64Array.from(values);
}

/** Infinities would become NaN inside a sum of products. */
function finite(node: ScaleShiftNode): ScaleShiftNode | undefined {
  return node.scale.every(Number.isFinite) && node.shift.every(Number.isFinite) ? node : undefined;
}
