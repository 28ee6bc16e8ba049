import type { Value } from '../../onnx/build.js';
import { batchNormalization, convolution, linear } from './layers.js';
import { type Network, NetworkBuilder, type Weights } from './network.js';

/** A ResNet of bottleneck blocks, wide or grouped; the names are torchvision's. */
export interface ResNetConfig {
  readonly name: string;
  /** Blocks in layer1 to layer4. */
  readonly blocks: readonly number[];
  readonly groups: number;
  readonly widthPerGroup: number;
  readonly classes: number;
  /** Channels behind the first convolution, and planes of layer1; 64 in every published one. */
  readonly stem: number;
  /** Pixels a side. */
  readonly imageSize: number;
}

/** A block's output has four times as many channels as its planes. */
const EXPANSION = 4;

/** The width per group at which a block's inner channels are its planes. */
const BASE_WIDTH = 64;

/**
 * Builds a bottleneck ResNet as torchvision has it: He et al. (CVPR 2016, arXiv:1512.03385) with the stride in the 3x3
 * convolution, Xie et al. (CVPR 2017, arXiv:1611.05431) for groups, Zagoruyko and Komodakis (BMVC 2016,
 * arXiv:1605.07146) for width. Weights have the names of torchvision's `state_dict`; a block's output (after the addition
 * and its ReLU) is the tensor `layer3.16`, the sum before that ReLU `layer3.16.add`.
 *
 * Input `input` float32 [N, 3, imageSize, imageSize]; output `logits` float32 [N, classes].
 */
export function buildResNet(config: ResNetConfig, weights: Weights): Network {
  const net = new NetworkBuilder(config.name, weights);
  const { graph: g } = net;
  let x = g.input('input', 'float32', ['N', 3, config.imageSize, config.imageSize]);
  x = convolution(net, x, 'conv1', { from: 3, to: config.stem, kernel: 7, stride: 2 });
  x = batchNormalization(net, x, 'bn1', config.stem);
  x = g.node('Relu', [x], {}, 'relu');
  x = g.node('MaxPool', [x], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }, 'maxpool');

  // Each block adds about 1/blocks of its input's variance, so that random weights neither vanish nor grow with depth.
  const residualGain = 1 / Math.sqrt(config.blocks.reduce((sum, n) => sum + n, 0));
  let channels = config.stem;
  config.blocks.forEach((count, i) => {
    const planes = config.stem * 2 ** i;
    for (let b = 0; b < count; b++) {
      const stride = b === 0 && i > 0 ? 2 : 1;
      x = bottleneck(net, x, `layer${i + 1}.${b}`, { from: channels, planes, stride, residualGain }, config);
      channels = planes * EXPANSION;
    }
  });

  x = g.node('GlobalAveragePool', [x], {}, 'avgpool');
  x = g.node('Flatten', [x], { axis: 1 }, 'flatten');
  x = linear(net, x, { path: 'fc', output: 'logits', inputs: channels, outputs: config.classes });
  g.output(x, 'float32', ['N', config.classes]);
  return net.build();
}

/** The tensors at which the network can be cut in two: one behind each block. */
export function resNetCuts(config: ResNetConfig): string[][] {
  return config.blocks.flatMap((count, i) => Array.from({ length: count }, (_, b) => [`layer${i + 1}.${b}`]));
}

function bottleneck(
  net: NetworkBuilder,
  x: Value,
  name: string,
  block: { from: number; planes: number; stride: number; residualGain: number },
  config: ResNetConfig,
): Value {
  const { graph: g } = net;
  const { from, planes, stride, residualGain } = block;
  const width = Math.floor((planes * config.widthPerGroup) / BASE_WIDTH) * config.groups;
  const to = planes * EXPANSION;
  const { groups } = config;

  let y = convolution(net, x, `${name}.conv1`, { from, to: width, kernel: 1 });
  y = batchNormalization(net, y, `${name}.bn1`, width);
  y = g.node('Relu', [y], {}, `${name}.relu1`);
  y = convolution(net, y, `${name}.conv2`, { from: width, to: width, kernel: 3, stride, groups });
  y = batchNormalization(net, y, `${name}.bn2`, width);
  y = g.node('Relu', [y], {}, `${name}.relu2`);
  y = convolution(net, y, `${name}.conv3`, { from: width, to, kernel: 1 });
  y = batchNormalization(net, y, `${name}.bn3`, to, residualGain);

  let shortcut = x;
  if (stride !== 1 || from !== to) {
    shortcut = convolution(net, x, `${name}.downsample.0`, { from, to, kernel: 1, stride });
    shortcut = batchNormalization(net, shortcut, `${name}.downsample.1`, to);
  }
  return g.node('Relu', [g.node('Add', [y, shortcut], {}, `${name}.add`)], {}, name);
}
