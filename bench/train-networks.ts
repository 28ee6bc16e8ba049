// Networks of bench:train that the zoo lacks: ResNet-20 for CIFAR and MobileNetV2.
import type { Value } from '../onnx/build.js';
import { heRange, leCunRange, type Network, NetworkBuilder, type Weights } from '../workloads/zoo/network.js';

interface Convolution {
  readonly from: number;
  readonly to: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly groups?: number;
}

/** The ResNet for CIFAR of 6n + 2 layers (He et al., CVPR 2016, arXiv:1512.03385), shortcuts by projection. */
export function cifarResNet(n: number, weights: Weights): Network {
  const net = new NetworkBuilder(`resnet${6 * n + 2}`, weights);
  const { graph: g } = net;
  let x = g.input('input', 'float32', ['N', 3, 32, 32]);
  x = g.node('Relu', [normalised(net, x, 'conv1', 'bn1', { from: 3, to: 16, kernel: 3 })]);
  let from = 16;
  for (const [stage, to] of [16, 32, 64].entries()) {
    for (let i = 0; i < n; i++) {
      const name = `layer${stage + 1}.${i}`;
      const stride = stage > 0 && i === 0 ? 2 : 1;
      let y = normalised(net, x, `${name}.conv1`, `${name}.bn1`, { from, to, kernel: 3, stride });
      y = g.node('Relu', [y]);
      y = normalised(net, y, `${name}.conv2`, `${name}.bn2`, { from: to, to, kernel: 3 });
      const [convolution, norm] = [`${name}.downsample.0`, `${name}.downsample.1`];
      const shortcut = from === to ? x : normalised(net, x, convolution, norm, { from, to, kernel: 1, stride });
      x = g.node('Relu', [g.node('Add', [y, shortcut])], {}, name);
      from = to;
    }
  }
  return classified(net, x, 'fc', from, 10);
}

/** Expansion, channels, blocks and stride of each part. */
const MOBILENET = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const;

/** MobileNetV2 (Sandler et al., CVPR 2018, arXiv:1801.04381) for 1000 classes, 224 pixels. */
export function mobileNetV2(weights: Weights): Network {
  const net = new NetworkBuilder('mobilenet_v2', weights);
  const { graph: g } = net;
  const block = (from: Value, path: string, convolution: Convolution): Value =>
    g.node('Clip', [normalised(net, from, `${path}.0`, `${path}.1`, convolution), g.float32(0), g.float32(6)]);
  let x = block(g.input('input', 'float32', ['N', 3, 224, 224]), 'features.0', {
    from: 3,
    to: 32,
    kernel: 3,
    stride: 2,
  });
  let [from, index] = [32, 1];
  for (const [expand, to, count, first] of MOBILENET) {
    for (let i = 0; i < count; i++, index++) {
      const [path, stride, inner] = [`features.${index}.conv`, i === 0 ? first : 1, from * expand];
      let [y, at] = [x, 0];
      if (expand > 1) y = block(y, `${path}.${at++}`, { from, to: inner, kernel: 1 });
      y = block(y, `${path}.${at++}`, { from: inner, to: inner, kernel: 3, stride, groups: inner });
      y = normalised(net, y, `${path}.${at}`, `${path}.${at + 1}`, { from: inner, to, kernel: 1 });
      x = stride === 1 && from === to ? g.node('Add', [x, y]) : y;
      from = to;
    }
  }
  x = block(x, `features.${index}`, { from, to: 1280, kernel: 1 });
  return classified(net, x, 'classifier.1', 1280, 1000);
}

/** A convolution, and BatchNormalization behind it. */
function normalised(net: NetworkBuilder, x: Value, convolution: string, norm: string, given: Convolution): Value {
  const { from, to, kernel, stride = 1, groups = 1 } = given;
  const pad = (kernel - 1) / 2;
  const fan = (from / groups) * kernel * kernel;
  const w = net.weight(`${convolution}.weight`, [to, from / groups, kernel, kernel], { range: heRange(fan) });
  const y = net.graph.node('Conv', [x, w], {
    ...{ kernel_shape: [kernel, kernel], strides: [stride, stride], pads: [pad, pad, pad, pad], group: groups },
  });
  const channels = [
    net.weight(`${norm}.weight`, [to], { range: [0.8, 1.2] }),
    net.weight(`${norm}.bias`, [to], { range: [-0.1, 0.1] }),
    net.weight(`${norm}.running_mean`, [to], { range: [-0.1, 0.1], buffer: true }),
    net.weight(`${norm}.running_var`, [to], { range: [0.8, 1.2], buffer: true }),
  ];
  return net.graph.node('BatchNormalization', [y, ...channels], { epsilon: 1e-5 });
}

function classified(net: NetworkBuilder, x: Value, path: string, from: number, classes: number): Network {
  const { graph: g } = net;
  const flat = g.node('Flatten', [g.node('GlobalAveragePool', [x])], { axis: 1 });
  const w = net.weight(`${path}.weight`, [classes, from], { range: leCunRange(from) });
  const b = net.weight(`${path}.bias`, [classes], { range: [-0.05, 0.05] });
  g.output(g.node('Gemm', [flat, w, b], { transB: 1 }, 'logits'), 'float32', ['N', classes]);
  return net.build();
}
