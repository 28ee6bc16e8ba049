import { intAttr } from '../attribute.js';
import type { Value } from '../build.js';
import type { GradNode } from './grad-node.js';
import { kernelGradient } from './kernel-gradient.js';
import type { GradRule } from './rule.js';
import { unreached, type Window, windowOf } from './window.js';

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
      at.wants(2)
        ? at.sum(
            at.dY,
            y.flatMap((_, axis) => (axis === 1 ? [] : [axis])),
          )
        : undefined,
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
  // X's size does not follow from Y's: the window may have left cells over at its end.
  const rest = unreached(x, y, window);
  return at.emit('ConvTranspose', [at.dY, at.input(1)], {
    ...{ kernel_shape: kernel, strides, dilations, pads: [...begins, ...ends], group, output_padding: rest },
  });
}
