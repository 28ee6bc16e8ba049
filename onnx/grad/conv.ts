import { intAttr } from '../attribute.js';
import type { Value } from '../build.js';
import { besidesChannels } from './axes.js';
import type { GradNode } from './grad-node.js';
import { kernelGradient } from './kernel-gradient.js';
import type { GradRule } from './rule.js';
import { extentOf, unreached, type Window, windowOf } from './window.js';

/**
 * Y = X * W + B in 1 to 3 dimensions, in groups: dX is the transposed convolution of dY, dW the convolution of X with dY
 * (Dumoulin and Visin, arXiv:1603.07285, chapter 4), dB the sum of dY.
 */
export const conv: GradRule = {
  opTypes: ['Conv'],
  gradient(at) {
    const [x, w, y] = [at.inputShape(0), at.inputShape(1), at.outputShape()];
    const group = intAttr(at.node, 'group') ?? 1;
    const window = windowOf(at.node, w.slice(2), x.slice(2), y.slice(2));
    return [
      at.wants(0) ? pictureGradient(at, x, y, group, window) : undefined,
      at.wants(1)
        ? kernelGradient(at, {
            ...{ picture: at.input(0), pictureShape: x, places: at.dY, placesShape: y, kernelShape: w },
            ...{ group, window },
          })
        : undefined,
      at.wants(2) ? at.sum(at.dY, besidesChannels(y)) : undefined,
    ];
  },
};

function pictureGradient(
  at: GradNode,
  x: readonly number[],
  y: readonly number[],
  group: number,
  window: Window,
): Value {
  const { kernel, strides, dilations, begins, ends } = window;
  const pads = [...begins, ...ends];
  const outside = pads.map((pad, i) => extentOf(window, i % kernel.length) - 1 - pad);
  if (strides.every((stride) => stride === 1) && outside.every((pad) => pad >= 0)) {
    // Without a stride it is a convolution too, for which the runtime has the faster kernels.
    const turned = turnedKernels(at, at.inputShape(1), group);
    return at.emit('Conv', [at.dY, turned], { kernel_shape: kernel, dilations, pads: outside, group });
  }
  // X's size does not follow from Y's: the window may have left cells over at its end.
  const rest = unreached(x, y, window);
  return at.emit('ConvTranspose', [at.dY, at.input(1)], {
    ...{ kernel_shape: kernel, strides, dilations, pads, group, output_padding: rest },
  });
}

/** Kernels [M, C / group, sizes] as [C, M / group, sizes], each mirrored. */
function turnedKernels(at: GradNode, shape: readonly number[], group: number): Value {
  const [to, from, ...sizes] = shape as [number, number, ...number[]];
  const axes = sizes.flatMap((size, axis) => (size > 1 ? [axis + 2] : []));
  const lists = [axes.map(() => -1), axes.map(() => Number.MIN_SAFE_INTEGER), axes, axes.map(() => -1)];
  const mirrored =
    axes.length === 0 ? at.input(1) : at.emit('Slice', [at.input(1), ...lists.map((list) => at.builder.int64(list))]);
  if (group === 1) return at.transpose(mirrored, [1, 0, ...sizes.map((_, axis) => axis + 2)]);
  if (from === 1 && to === group) return mirrored;
  const grouped = at.reshape(mirrored, [group, to / group, from, ...sizes]);
  const swapped = at.transpose(grouped, [0, 2, 1, ...sizes.map((_, axis) => axis + 3)]);
  return at.reshape(swapped, [group * from, to / group, ...sizes]);
}
