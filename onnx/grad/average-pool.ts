import { intAttr, intsAttr, stringAttr } from '../attribute.js';
import type { Attributes, Value } from '../build.js';
import { alongAxis, identity } from './along-axis.js';
import type { GradNode } from './grad-node.js';
import type { GradRule } from './rule.js';

/**
 * Y = the mean of each window. A window is as long along one axis wherever it is on the others, so that pooling is a
 * matrix along each axis, and its gradient the transposed matrices; where windows lie side by side, dY is repeated.
 */
export const averagePool: GradRule = {
  opTypes: ['AveragePool'],
  gradient(at) {
    const [x, y] = [at.inputShape(0), at.outputShape()];
    const kernel = intsAttr(at.node, 'kernel_shape');
    if (!kernel) throw at.error('it has no kernel_shape');
    if (apart(at, kernel, x, y)) return [repeated(at, kernel, x, y)];
    const shape = [...y];
    let gradient = at.dY;
    for (const [i, size] of x.slice(2).entries()) {
      gradient = alongAxis(at, gradient, shape, i + 2, spreading(at, i, kernel, size, y[i + 2] as number), size);
      shape[i + 2] = size;
    }
    return [gradient];
  },
};

function apart(at: GradNode, kernel: readonly number[], x: readonly number[], y: readonly number[]): boolean {
  const strides = intsAttr(at.node, 'strides') ?? kernel.map(() => 1);
  return (
    (stringAttr(at.node, 'auto_pad') ?? 'NOTSET') === 'NOTSET' &&
    (intsAttr(at.node, 'pads') ?? []).every((pad) => pad === 0) &&
    (intsAttr(at.node, 'dilations') ?? []).every((dilation) => dilation === 1) &&
    kernel.every((size, i) => size === strides[i] && (y[i + 2] as number) * size <= (x[i + 2] as number))
  );
}

/** dY / the kernel's size, as often as the kernel has cells, and zeros for what no window reaches. */
function repeated(at: GradNode, kernel: readonly number[], x: readonly number[], y: readonly number[]): Value {
  const share = at.emit('Mul', [at.dY, at.scalar(1 / kernel.reduce((product, size) => product * size, 1))]);
  const [lead, sizes] = [y.slice(0, 2), y.slice(2)];
  const single = at.reshape(share, [...lead, ...sizes.flatMap((size) => [size, 1])]);
  const copies = [...lead, ...sizes.flatMap((size, i) => [size, kernel[i] as number])];
  const reached = sizes.map((size, i) => size * (kernel[i] as number));
  const filled = at.reshape(at.emit('Expand', [single, at.builder.int64(copies)]), [...lead, ...reached]);
  const rest = reached.map((size, i) => (x[i + 2] as number) - size);
  if (rest.every((cells) => cells === 0)) return filled;
  return at.emit('Pad', [filled, at.builder.int64([...x.map(() => 0), 0, 0, ...rest])]);
}

/** [places, size]: what the operator itself makes of one cell after the other along an axis, transposed. */
function spreading(at: GradNode, axis: number, kernel: readonly number[], size: number, places: number): Value {
  const of = (name: string): readonly number[] | undefined => intsAttr(at.node, name);
  const one = (name: string): readonly number[] | undefined => of(name)?.slice(axis, axis + 1);
  const pads = of('pads');
  const attributes: Attributes = {
    kernel_shape: [kernel[axis] as number],
    strides: one('strides'),
    dilations: one('dilations'),
    pads: pads && [pads[axis] as number, pads[axis + kernel.length] as number],
    auto_pad: stringAttr(at.node, 'auto_pad'),
    ceil_mode: intAttr(at.node, 'ceil_mode'),
    count_include_pad: intAttr(at.node, 'count_include_pad'),
  };
  const cells = at.reshape(identity(at, size), [size, 1, size]);
  return at.transpose(at.reshape(at.emit('AveragePool', [cells], attributes), [size, places]), [1, 0]);
}
