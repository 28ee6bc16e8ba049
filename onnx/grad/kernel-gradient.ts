import type { Value } from '../build.js';
import { elementCount } from '../tensor.js';
import { besidesChannels } from './axes.js';
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

/** Channels of a group from which products tap by tap are faster than one of all taps. */
const MANY_CHANNELS = 8;

/**
 * The gradient by the kernels of a convolution: for every tap, the product of the places with the picture as it is seen
 * through that tap, summed over items and places.
 */
export function kernelGradient(at: GradNode, sliding: Sliding): Value {
  const { pictureShape, placesShape, kernelShape, group, window } = sliding;
  const places = elementCount(placesShape.slice(2));
  const depthwise = pictureShape[1] === group && placesShape[1] === group;
  if (depthwise && places <= FEW_PLACES) return elementwise(at, sliding);
  const many = (kernelShape[1] as number) >= MANY_CHANNELS && elementCount(window.kernel) > 1;
  return many && window.strides.every((stride) => stride === 1) ? tapByTap(at, sliding) : allTaps(at, sliding);
}

/** One product for each tap: [channels of a group, kernels of a group]. */
function tapByTap(at: GradNode, sliding: Sliding): Value {
  const { window, kernelShape, group } = sliding;
  const padded = paddedPicture(at, sliding);
  const places = transposedPlaces(at, sliding);
  const taps = Array.from({ length: elementCount(window.kernel) }, (_, flat) => {
    const seen = throughTap(at, sliding, padded, tapOf(flat, window.kernel));
    const sum = at.sum(at.emit('MatMul', [byGroup(at, sliding, seen, 1), places]), [0]);
    return at.emit('Unsqueeze', [sum, at.builder.int64([0])]);
  });
  // [taps, (group,) channels, kernels]
  const all = at.emit('Concat', taps, { axis: 0 });
  return at.reshape(at.transpose(all, group === 1 ? [2, 1, 0] : [1, 3, 2, 0]), kernelShape);
}

/** One product of all taps: [channels of a group * taps, kernels of a group]. */
function allTaps(at: GradNode, sliding: Sliding): Value {
  const { kernelShape, group } = sliding;
  const seen = byGroup(at, sliding, unfolded(at, sliding), elementCount(kernelShape.slice(2)));
  const sum = at.sum(at.emit('MatMul', [seen, transposedPlaces(at, sliding)]), [0]);
  return at.reshape(at.transpose(sum, group === 1 ? [1, 0] : [0, 2, 1]), kernelShape);
}

/** [N, (group,) channels of a group * taps, places] */
function byGroup(at: GradNode, { pictureShape, placesShape, group }: Sliding, seen: Value, taps: number): Value {
  const channels = ((pictureShape[1] as number) / group) * taps;
  const groups = group === 1 ? [] : [group];
  return at.reshape(seen, [placesShape[0] as number, ...groups, channels, elementCount(placesShape.slice(2))]);
}

/** [N, (group,) places, kernels of a group]: the runtime makes one node of it and the product that takes it. */
function transposedPlaces(at: GradNode, { places, placesShape, group }: Sliding): Value {
  const [items, kernels, ...sizes] = placesShape as [number, number, ...number[]];
  const groups = group === 1 ? [] : [group];
  const given = at.reshape(places, [items, ...groups, kernels / group, elementCount(sizes)]);
  return at.transpose(given, group === 1 ? [0, 2, 1] : [0, 1, 3, 2]);
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

/** A depthwise kernel's gradient: a product by elements and its sum for each tap. */
function elementwise(at: GradNode, sliding: Sliding): Value {
  const { pictureShape, places, kernelShape, window } = sliding;
  const padded = paddedPicture(at, sliding);
  const others = besidesChannels(pictureShape);
  const sums = Array.from({ length: elementCount(window.kernel) }, (_, flat) => {
    const product = at.emit('Mul', [throughTap(at, sliding, padded, tapOf(flat, window.kernel)), places]);
    return at.reshape(at.sum(product, others), [-1, 1]);
  });
  const all = sums.length === 1 ? (sums[0] as Value) : at.emit('Concat', sums, { axis: 1 });
  return at.reshape(all, kernelShape);
}

function paddedPicture(at: GradNode, { picture, window }: Sliding): Value {
  const pads = [0, 0, ...window.begins, 0, 0, ...window.ends];
  return pads.some((pad) => pad > 0) ? at.emit('Pad', [picture, at.builder.int64(pads)]) : picture;
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
