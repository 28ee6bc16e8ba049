import { intAttr } from '../attribute.js';
import type { Value } from '../build.js';
import { besidesChannels } from './axes.js';
import type { GradNode } from './grad-node.js';
import { kernelGradient } from './kernel-gradient.js';
import type { GradRule } from './rule.js';
import { type Window, windowOf } from './window.js';

/**
 * The transposed convolution (Zeiler et al., CVPR 2010): X is what a convolution would make of Y, so dX is the convolution
 * of dY with the same kernels, and dW is a convolution's with the two swapped.
 */
export const convTranspose: GradRule = {
  opTypes: ['ConvTranspose'],
  gradient(at) {
    const [x, w, y] = [at.inputShape(0), at.inputShape(1), at.outputShape()];
    const group = intAttr(at.node, 'group') ?? 1;
    const window = windowOf(at.node, w.slice(2), y.slice(2), x.slice(2), true);
    return [
      at.wants(0) ? pictureGradient(at, group, window) : undefined,
      at.wants(1)
        ? kernelGradient(at, {
            ...{ picture: at.dY, pictureShape: y, places: at.input(0), placesShape: x, kernelShape: w },
            ...{ group, window },
          })
        : undefined,
      at.wants(2) ? at.sum(at.dY, besidesChannels(y)) : undefined,
    ];
  },
};

function pictureGradient(at: GradNode, group: number, window: Window): Value {
  const { kernel, strides, dilations, begins, ends } = window;
  return at.emit('Conv', [at.dY, at.input(1)], {
    ...{ kernel_shape: kernel, strides, dilations, pads: [...begins, ...ends], group },
  });
}
