import type { Value } from '../../onnx/build.js';
import { batchNormalization, convolution, linear } from './layers.js';
import { type Network, NetworkBuilder, type Weights, ZEROS } from './network.js';

/** A MobileNetV2; the names are torchvision's. */
export interface MobileNetConfig {
  readonly name: string;
  readonly classes: number;
  /** Pixels a side. */
  readonly imageSize: number;
  /** All channels are multiplied by it, and rounded to multiples of eight. */
  readonly width: number;
  /** Of the first convolution: 2 in the paper, 1 for small pictures. */
  readonly stemStride: number;
  /** Groups of blocks: the expansion, the channels, how many, and the stride of the first. */
  readonly groups: readonly MobileNetGroup[];
}

export type MobileNetGroup = readonly [expansion: number, channels: number, count: number, stride: number];

/** Table 2 of the paper. */
export const MOBILENET_V2_GROUPS: readonly MobileNetGroup[] = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
];

/**
 * Builds MobileNetV2 (Sandler et al., CVPR 2018, arXiv:1801.04381) as torchvision has it, without dropout. Weights have
 * the names of torchvision's `state_dict`; a block's output is the tensor `features.3`. The layers behind the blocks
 * never have fewer channels than at width 1.
 *
 * Input `input` float32 [N, 3, imageSize, imageSize]; output `logits` float32 [N, classes].
 */
export function buildMobileNet(config: MobileNetConfig, weights: Weights): Network {
  const { classes, imageSize, width, stemStride, groups } = config;
  const net = new NetworkBuilder(config.name, weights);
  const { graph: g } = net;
  const first = rounded(32 * width);
  const gain = 1 / Math.sqrt(blocksOf(config));
  let x = g.input('input', 'float32', ['N', 3, imageSize, imageSize]);
  x = activated(net, x, 'features.0', { from: 3, to: first, kernel: 3, stride: stemStride }, 'features.0');
  let from = first;
  let index = 1;
  for (const [expansion, channels, count, stride] of groups) {
    const to = rounded(channels * width);
    for (let b = 0; b < count; b++) {
      x = invertedResidual(net, x, `features.${index++}`, { from, to, expansion, stride: b === 0 ? stride : 1, gain });
      from = to;
    }
  }
  const last = rounded(1280 * Math.max(1, width));
  x = activated(net, x, `features.${index}`, { from, to: last, kernel: 1 }, `features.${index}`);
  x = g.node('Flatten', [g.node('GlobalAveragePool', [x], {}, 'avgpool')], { axis: 1 }, 'flatten');
  const start = { weight: { kind: 'normal', deviation: 0.01 } as const, bias: ZEROS };
  x = linear(net, x, { path: 'classifier.1', output: 'logits', inputs: last, outputs: classes }, start);
  g.output(x, 'float32', ['N', classes]);
  return net.build();
}

/** The tensors at which the network can be cut in two: one behind each block. */
export function mobileNetCuts(config: MobileNetConfig): string[][] {
  return Array.from({ length: blocksOf(config) }, (_, i) => [`features.${i + 1}`]);
}

function blocksOf({ groups }: MobileNetConfig): number {
  return groups.reduce((sum, [, , count]) => sum + count, 0);
}

/** The multiple of eight nearest to it, eight at least, and no less than nine tenths of it. */
function rounded(channels: number): number {
  const nearest = Math.max(8, Math.floor((channels + 4) / 8) * 8);
  return nearest < 0.9 * channels ? nearest + 8 : nearest;
}

interface Block {
  readonly from: number;
  readonly to: number;
  readonly expansion: number;
  readonly stride: number;
  readonly gain: number;
}

/** Wider, a 3x3 convolution of each channel, narrower; with its input added where the shapes are the same. */
function invertedResidual(net: NetworkBuilder, x: Value, name: string, block: Block): Value {
  const { from, to, expansion, stride, gain } = block;
  const hidden = from * expansion;
  let y = x;
  let layer = 0;
  if (expansion !== 1) y = activated(net, y, `${name}.conv.${layer++}`, { from, to: hidden, kernel: 1 });
  const depthwise = { from: hidden, to: hidden, kernel: 3, stride, groups: hidden };
  y = activated(net, y, `${name}.conv.${layer++}`, depthwise);
  y = convolution(net, y, `${name}.conv.${layer++}`, { from: hidden, to, kernel: 1 });
  const path = `${name}.conv.${layer}`;
  if (stride !== 1 || from !== to) return batchNormalization(net, y, path, to, 1, name);
  return net.graph.node('Add', [x, batchNormalization(net, y, path, to, gain)], {}, name);
}

/** Convolution, batch normalisation and ReLU6. @param output name of the result; made from `path` unless given */
function activated(
  net: NetworkBuilder,
  x: Value,
  path: string,
  conv: Parameters<typeof convolution>[3],
  output = `${path}.2`,
): Value {
  const { graph: g } = net;
  const y = batchNormalization(net, convolution(net, x, `${path}.0`, conv), `${path}.1`, conv.to);
  return g.node('Clip', [y, g.float32(0), g.float32(6)], {}, output);
}
