import type { Value } from '../build.js';
import { elementCount } from '../tensor.js';
import type { GradNode } from './grad-node.js';
import type { Window } from './window.js';

/** A picture that a window slides over, and what is there at every place of the window. */
export interface Sliding {
  /** [N, C, sizes] */
  readonly picture: Value;
  readonly pictureShape: readonly number[];
  /** [N, M, places]: the gradient by the convolution of the picture */
  readonly places: Value;
  readonly placesShape: readonly number[];
  /** Of the kernels: [M, C / group, kernel]. */
  readonly kernelShape: readonly number[];
  readonly group: number;
  readonly window: Window;
}

/** Places up to which a depthwise kernel's gradient is made tap by tap: there the taps' patches are in the cache. */
const FEW_PLACES = 1024;

/**
 * The gradient by the kernels of a convolution: for every tap, the product of the places with the picture as it is seen
 * through that tap, summed over items and places.
 */
export function kernelGradient(at: GradNode, sliding: Sliding): Value {
  const { pictureShape, placesShape, kernelShape, group } = sliding;
  const places = elementCount(placesShape.slice(2));
  if (pictureShape[1] === group && placesShape[1] === group && places <= FEW_PLACES) return tapByTap(at, sliding);
  const items = placesShape[0] as number;
  const groups = group === 1 ? [items] : [items, group];
  const perGroup = (channels: number): number => channels / group;
  const taps = elementCount(kernelShape.slice(2));
  const seen = at.reshape(unfolded(at, sliding), [...groups, perGroup(pictureShape[1] as number) * taps, places]);
  const given = at.reshape(sliding.places, [...groups, perGroup(placesShape[1] as number), places]);
  // The runtime makes one node of a product and the transposition of its last two axes.
  const swapped = group === 1 ? [0, 2, 1] : [0, 1, 3, 2];
  const products = at.emit('MatMul', [given, at.transpose(seen, swapped)]);
  return at.reshape(at.sum(products, [0]), kernelShape);
}

/** The picture through every tap: [N, C * taps, places], the taps of a channel together. */
function unfolded(at: GradNode, sliding: Sliding): Value {
  const { picture, pictureShape, kernelShape, window } = sliding;
  const { strides, dilations, begins, ends } = window;
  const kernel = kernelShape.slice(2);
  const taps = elementCount(kernel);
  const channels = pictureShape[1] as number;
  const pads = [...begins, ...ends];
  if (taps === 1 && pads.every((pad) => pad === 0)) {
    return strides.every((stride) => stride === 1) ? picture : throughTap(at, sliding, picture, [0]);
  }
  // A convolution of each channel with kernels that are 1 at one tap: the runtime's fastest way to copy the patches.
  const taken = Array.from({ length: taps * taps }, (_, i) => (i % taps === Math.floor(i / taps) ? 1 : 0));
  const one = at.reshape(at.builder.float32(taken), [taps, 1, ...kernel]);
  const copies = at.builder.int64([channels, 1, ...kernel.map(() => 1)]);
  return at.emit('Conv', [picture, at.emit('Tile', [one, copies])], {
    ...{ kernel_shape: kernel, strides, dilations, pads, group: channels },
  });
}

/** A depthwise kernel's gradient: a product and its sum for each tap. */
function tapByTap(at: GradNode, sliding: Sliding): Value {
  const { picture, pictureShape, places, kernelShape, window } = sliding;
  const { kernel, begins, ends } = window;
  const pads = [0, 0, ...begins, 0, 0, ...ends];
  const padded = pads.some((pad) => pad > 0) ? at.emit('Pad', [picture, at.builder.int64(pads)]) : picture;
  const others = pictureShape.flatMap((_, axis) => (axis === 1 ? [] : [axis]));
  const sums = Array.from({ length: elementCount(kernel) }, (_, flat) => {
    const product = at.emit('Mul', [throughTap(at, sliding, padded, tapOf(flat, kernel)), places]);
    return at.reshape(at.sum(product, others), [-1, 1]);
  });
  const all = sums.length === 1 ? (sums[0] as Value) : at.emit('Concat', sums, { axis: 1 });
  return at.reshape(all, kernelShape);
}

/** What a picture that is padded already shows through one tap, at every place. */
function throughTap(at: GradNode, { placesShape, window }: Sliding, padded: Value, tap: readonly number[]): Value {
  const { strides, dilations } = window;
  const starts = strides.map((_, axis) => (tap[axis] ?? 0) * (dilations[axis] as number));
  const stops = strides.map(
    (stride, axis) => (starts[axis] as number) + ((placesShape[axis + 2] as number) - 1) * stride + 1,
  );
  const axes = strides.map((_, axis) => axis + 2);
  return at.emit('Slice', [padded, ...[starts, stops, axes, strides].map((list) => at.builder.int64(list))]);
}

/** The place in the kernel of a tap by its number. */
function tapOf(flat: number, kernel: readonly number[]): number[] {
  const tap: number[] = [];
  let rest = flat;
  for (const size of kernel.toReversed()) {
    tap.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return tap;
}
