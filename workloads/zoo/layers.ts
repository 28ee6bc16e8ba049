import type { Value } from '../../onnx/build.js';
import { heFanOut, heRange, leCunRange, linearStart, type NetworkBuilder, ONES, type Start, ZEROS } from './network.js';

export interface Convolution {
  readonly from: number;
  readonly to: number;
  /** Pixels a side, odd: the border is padded so that the map stays as large. */
  readonly kernel: number;
  readonly stride?: number;
  readonly groups?: number;
}

/** torch.nn.Conv2d without bias over [N, from, rows, columns]. */
export function convolution(net: NetworkBuilder, x: Value, name: string, conv: Convolution): Value {
  const { from, to, kernel, stride = 1, groups = 1 } = conv;
  const pad = (kernel - 1) / 2;
  const w = net.weight(`${name}.weight`, [to, from / groups, kernel, kernel], {
    range: heRange((from / groups) * kernel * kernel),
    // PyTorch counts all output channels, those of other groups too.
    start: heFanOut(to * kernel * kernel),
  });
  const attributes = {
    kernel_shape: [kernel, kernel],
    strides: [stride, stride],
    pads: [pad, pad, pad, pad],
    dilations: [1, 1],
    group: groups,
  };
  return net.graph.node('Conv', [x, w], attributes, name);
}

/**
 * Inference-mode batch normalisation with the epsilon of torch.nn.BatchNorm2d.
 *
 * @param gain of random weights: what a residual branch adds is kept small with it
 * @param output name of the result, where it is not that of the weights
 */
export function batchNormalization(
  net: NetworkBuilder,
  x: Value,
  name: string,
  channels: number,
  gain = 1,
  output = name,
): Value {
  const inputs = [
    x,
    net.weight(`${name}.weight`, [channels], { range: [0.8 * gain, 1.2 * gain], start: ONES }),
    net.weight(`${name}.bias`, [channels], { range: [-0.1, 0.1], start: ZEROS }),
    net.weight(`${name}.running_mean`, [channels], { range: [-0.1, 0.1], start: ZEROS, buffer: true }),
    net.weight(`${name}.running_var`, [channels], { range: [0.8, 1.2], start: ONES, buffer: true }),
  ];
  return net.graph.node('BatchNormalization', inputs, { epsilon: 1e-5 }, output);
}

/** What a linear layer's weight and bias are before training; torch.nn.Linear's unless told. */
export interface LinearStart {
  readonly weight: Start;
  readonly bias: Start;
}

/** torch.nn.Linear over [N, inputs]. */
export function linear(
  net: NetworkBuilder,
  x: Value,
  layer: { readonly path: string; readonly output: string; readonly inputs: number; readonly outputs: number },
  start: LinearStart = { weight: linearStart(layer.inputs), bias: linearStart(layer.inputs) },
): Value {
  const { path, output, inputs, outputs } = layer;
  const w = net.weight(`${path}.weight`, [outputs, inputs], { range: leCunRange(inputs), start: start.weight });
  const b = net.weight(`${path}.bias`, [outputs], { range: [-0.05, 0.05], start: start.bias });
  return net.graph.node('Gemm', [x, w, b], { transB: 1 }, output);
}
