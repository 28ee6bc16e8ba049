import type { Value } from '../../onnx/build.js';
import { batchNormalization, convolution, linear } from './layers.js';
import { type Network, NetworkBuilder, type Weights } from './network.js';

/** A ResNet for small pictures. */
export interface SmallResNetConfig {
  readonly name: string;
  /** Blocks in each group of layers: three groups in the paper. */
  readonly blocks: readonly number[];
  /** Channels of each group. */
  readonly channels: readonly number[];
  readonly classes: number;
  /** Pixels a side. */
  readonly imageSize: number;
  /** Of the first convolution: 1 in the paper, 2 for pictures that are larger. */
  readonly stemStride: number;
  /**
   * What a block that halves the map adds: its input with every second pixel and channels of zeros, which has no
   * parameters (the paper's option A), or a 1x1 convolution of it (option B).
   */
  readonly shortcut: 'pad' | 'convolution';
}

/**
 * Builds the ResNet that He et al. (CVPR 2016, arXiv:1512.03385, section 4.2) have for CIFAR-10: a 3x3 convolution,
 * groups of blocks of two 3x3 convolutions, the mean over the map and a linear layer. Weights have torchvision's names:
 * `conv1`, `layer1.0.bn1`, `layer2.0.downsample.0`, `fc`; a block's output is the tensor `layer2.0`.
 *
 * Input `input` float32 [N, 3, imageSize, imageSize]; output `logits` float32 [N, classes].
 */
export function buildSmallResNet(config: SmallResNetConfig, weights: Weights): Network {
  const { blocks, channels, classes, imageSize, stemStride } = config;
  const net = new NetworkBuilder(config.name, weights);
  const { graph: g } = net;
  const first = channels[0] as number;
  let x = g.input('input', 'float32', ['N', 3, imageSize, imageSize]);
  x = convolution(net, x, 'conv1', { from: 3, to: first, kernel: 3, stride: stemStride });
  x = g.node('Relu', [batchNormalization(net, x, 'bn1', first)], {}, 'relu');
  // As in the large ones: each block adds about 1/blocks of its input's variance.
  const gain = 1 / Math.sqrt(blocks.reduce((sum, n) => sum + n, 0));
  let from = first;
  for (const [group, count] of blocks.entries()) {
    const to = channels[group] as number;
    for (let b = 0; b < count; b++) {
      const stride = b === 0 && group > 0 ? 2 : 1;
      x = block(net, x, `layer${group + 1}.${b}`, { from, to, stride, gain }, config.shortcut);
      from = to;
    }
  }
  x = g.node('Flatten', [g.node('GlobalAveragePool', [x], {}, 'avgpool')], { axis: 1 }, 'flatten');
  x = linear(net, x, { path: 'fc', output: 'logits', inputs: from, outputs: classes });
  g.output(x, 'float32', ['N', classes]);
  return net.build();
}

/** The tensors at which the network can be cut in two: one behind each block. */
export function smallResNetCuts({ blocks }: SmallResNetConfig): string[][] {
  return blocks.flatMap((count, i) => Array.from({ length: count }, (_, b) => [`layer${i + 1}.${b}`]));
}

interface Block {
  readonly from: number;
  readonly to: number;
  readonly stride: number;
  readonly gain: number;
}

function block(
  net: NetworkBuilder,
  x: Value,
  name: string,
  { from, to, stride, gain }: Block,
  shortcut: SmallResNetConfig['shortcut'],
): Value {
  const { graph: g } = net;
  let y = convolution(net, x, `${name}.conv1`, { from, to, kernel: 3, stride });
  y = g.node('Relu', [batchNormalization(net, y, `${name}.bn1`, to)], {}, `${name}.relu1`);
  y = batchNormalization(
    net,
    convolution(net, y, `${name}.conv2`, { from: to, to, kernel: 3 }),
    `${name}.bn2`,
    to,
    gain,
  );
  const kept = stride === 1 && from === to ? x : changed(net, x, name, { from, to, stride, gain }, shortcut);
  return g.node('Relu', [g.node('Add', [y, kept], {}, `${name}.add`)], {}, name);
}

function changed(
  net: NetworkBuilder,
  x: Value,
  name: string,
  { from, to, stride }: Block,
  shortcut: SmallResNetConfig['shortcut'],
): Value {
  const { graph: g } = net;
  if (shortcut === 'convolution') {
    const projected = convolution(net, x, `${name}.downsample.0`, { from, to, kernel: 1, stride });
    return batchNormalization(net, projected, `${name}.downsample.1`, to);
  }
  const far = Number.MAX_SAFE_INTEGER;
  const slice = [g.int64([0, 0]), g.int64([far, far]), g.int64([2, 3]), g.int64([stride, stride])];
  const picked = stride === 1 ? x : g.node('Slice', [x, ...slice], {}, `${name}.downsample.slice`);
  const before = Math.floor((to - from) / 2);
  const pads = g.int64([0, before, 0, 0, 0, to - from - before, 0, 0]);
  return g.node('Pad', [picked, pads], {}, `${name}.downsample`);
}
