import { floatAttr, intAttr, intsAttr, stringAttr } from '../../attribute.js';
import { attributesOf, float } from '../../build/attributes.js';
import type { Node } from '../../model.js';
import { isOnnxDomain } from '../walk.js';
import type { ScaleShift, Weight, WeightOf } from './scale-shift.js';

/** A layer whose weights can take a scale and a shift of the channels it gives, or of those it is given. */
export interface Layer {
  /** Rank of its output. */
  readonly rank: number;
  /** Channels that it gives, at axis 1 of its output. */
  readonly outChannels: number;
  /** Channels that it is given, at axis 1 of its input. */
  readonly inChannels: number;
  /** The layer that gives `scale * y + shift` in place of y. */
  after(change: ScaleShift): NewWeights;
  /** The layer that takes x in place of `scale * x + shift`; undefined where that is not the same at the edges. */
  before(change: ScaleShift): NewWeights | undefined;
}

export interface NewWeights {
  readonly weight: Float32Array;
  /** One element a channel that the layer gives. */
  readonly bias: Float32Array;
  /** The attributes, where they change. */
  readonly attributes?: Node['attributes'];
}

/** A node as a layer; undefined for other operators, and where its weights are not constants of the graph. */
export function layerOf(node: Node, weightOf: WeightOf): Layer | undefined {
  if (!isOnnxDomain(node.domain)) return undefined;
  const weight = weightOf(node.inputs[1]);
  if (!weight) return undefined;
  const bias = node.inputs[2] ? weightOf(node.inputs[2]) : null;
  if (bias === undefined) return undefined;
  switch (node.opType) {
    case 'Conv':
      return conv(node, weight, bias);
    case 'ConvTranspose':
      return convTranspose(node, weight, bias);
    case 'Gemm':
      return gemm(node, weight, bias);
    default:
      return undefined;
  }
}

/** Weights [M, C / groups, ...kernel]. */
function conv(node: Node, { dims, values }: Weight, bias: Weight | null): Layer | undefined {
  const [outChannels = 0, perGroup = 0] = dims;
  const groups = intAttr(node, 'group') ?? 1;
  if (dims.length < 3 || (bias && bias.values.length !== outChannels)) return undefined;
  const block = values.length / outChannels;
  const kernel = block / perGroup;
  const groupSize = outChannels / groups;
  const biasOf = (m: number): number => bias?.values[m] ?? 0;
  return {
    rank: dims.length,
    outChannels,
    inChannels: perGroup * groups,
    after: ({ scale, shift }) => ({
      weight: values.map((v, i) => v * (scale[Math.floor(i / block)] as number)),
      bias: Float32Array.from({ length: outChannels }, (_, m) => biasOf(m) * at(scale, m) + at(shift, m)),
    }),
    before: ({ scale, shift }) => {
      if (shift.some((s) => s !== 0) && !isUnpadded(node)) return undefined;
      const inputOf = (i: number): number =>
        Math.floor(Math.floor(i / block) / groupSize) * perGroup + Math.floor((i % block) / kernel);
      const sums = Float64Array.from({ length: outChannels }, (_, m) => biasOf(m));
      for (let i = 0; i < values.length; i++) {
        const m = Math.floor(i / block);
        sums[m] = at(sums, m) + (values[i] as number) * at(shift, inputOf(i));
      }
      return { weight: values.map((v, i) => v * at(scale, inputOf(i))), bias: Float32Array.from(sums) };
    },
  };
}

/** A padded element is 0 after the shift, which no weights can say of the element before it. */
function isUnpadded(node: Node): boolean {
  const autoPad = stringAttr(node, 'auto_pad') ?? 'NOTSET';
  if (autoPad === 'VALID') return true;
  return autoPad === 'NOTSET' && (intsAttr(node, 'pads') ?? []).every((pad) => pad === 0);
}

/** Weights [C, M / groups, ...kernel]. What a shift before it adds differs at the edges: `before` is not done. */
function convTranspose(node: Node, { dims, values }: Weight, bias: Weight | null): Layer | undefined {
  const [inChannels = 0, perGroup = 0] = dims;
  const groups = intAttr(node, 'group') ?? 1;
  const outChannels = perGroup * groups;
  if (dims.length < 3 || (bias && bias.values.length !== outChannels)) return undefined;
  const block = values.length / inChannels;
  const kernel = block / perGroup;
  const groupSize = inChannels / groups;
  const outputOf = (i: number): number =>
    Math.floor(Math.floor(i / block) / groupSize) * perGroup + Math.floor((i % block) / kernel);
  return {
    rank: dims.length,
    outChannels,
    inChannels,
    after: ({ scale, shift }) => ({
      weight: values.map((v, i) => v * at(scale, outputOf(i))),
      bias: Float32Array.from({ length: outChannels }, (_, m) => (bias?.values[m] ?? 0) * at(scale, m) + at(shift, m)),
    }),
    before: () => undefined,
  };
}

/** Y = alpha * A' * B' + beta * C with B' [K, M]; channels are the columns. */
function gemm(node: Node, { dims, values }: Weight, c: Weight | null): Layer | undefined {
  const transposed = intAttr(node, 'transB') === 1;
  const [inChannels = 0, outChannels = 0] = transposed ? dims.toReversed() : dims;
  const alpha = floatAttr(node, 'alpha') ?? 1;
  const beta = floatAttr(node, 'beta') ?? 1;
  if (dims.length !== 2 || (c && !isRow(c, outChannels))) return undefined;
  const biasOf = (m: number): number => (c ? beta * (c.values[c.values.length === 1 ? 0 : m] as number) : 0);
  const columnOf = (i: number): number => (transposed ? Math.floor(i / inChannels) : i % outChannels);
  const rowOf = (i: number): number => (transposed ? i % inChannels : Math.floor(i / outChannels));
  // The bias is written out, beta included.
  const attributes = [
    ...node.attributes.filter(({ name }) => name !== 'beta'),
    ...(beta === 1 ? [] : attributesOf({ beta: float(1) })),
  ];
  return {
    rank: 2,
    outChannels,
    inChannels,
    after: ({ scale, shift }) => ({
      weight: values.map((v, i) => v * at(scale, columnOf(i))),
      bias: Float32Array.from({ length: outChannels }, (_, m) => biasOf(m) * at(scale, m) + at(shift, m)),
      attributes,
    }),
    before: ({ scale, shift }) => {
      // Of a transposed input the channels are the rows.
      if (intAttr(node, 'transA') === 1) return undefined;
      const sums = Float64Array.from({ length: outChannels }, (_, m) => biasOf(m));
      for (let i = 0; i < values.length; i++) {
        const m = columnOf(i);
        sums[m] = at(sums, m) + alpha * (values[i] as number) * at(shift, rowOf(i));
      }
      return { weight: values.map((v, i) => v * at(scale, rowOf(i))), bias: Float32Array.from(sums), attributes };
    },
  };
}

/** Whether C is the same for every row. */
function isRow({ dims, values }: Weight, columns: number): boolean {
  if (dims.length > 2 || (dims.length === 2 && dims[0] !== 1)) return false;
  return values.length === 1 || values.length === columns;
}

function at(values: Float64Array, i: number): number {
  return values[i] as number;
}
