import type { Attributes, GraphBuilder, Value } from '../../build.js';
import { NCHWC } from './domain.js';

/** Sizes of a picture: [N, C, H, W]. */
export type Picture = readonly [number, number, number, number];

/** How a window moves over a picture: for height and width each. */
export interface Geometry {
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  /** Top, left, bottom, right. */
  readonly pads: readonly [number, number, number, number];
}

export const POINT: Geometry = { kernel: [1, 1], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0] };

/** Adds nodes of ONNX Runtime that work on the blocked layout. */
export class BlockedEmitter {
  readonly builder: GraphBuilder;
  readonly block: number;

  constructor(builder: GraphBuilder, block: number) {
    this.builder = builder;
    this.block = block;
    builder.useDomain(NCHWC, 1);
    builder.useDomain('com.microsoft', 1);
  }

  /** Channels as they lie in memory: filled up to whole blocks. */
  filled(channels: number): number {
    return Math.ceil(channels / this.block) * this.block;
  }

  /** @param name of the result; one is made up unless given */
  emit(opType: string, inputs: readonly (Value | undefined)[], attributes: Attributes = {}, name?: string): Value {
    return this.builder.node(opType, inputs, attributes, name === undefined ? {} : { name });
  }

  reshape(x: Value, shape: readonly number[], name?: string): Value {
    return this.emit('Reshape', [x, this.builder.int64(shape)], {}, name);
  }

  transpose(x: Value, perm: readonly number[]): Value {
    return this.emit('Transpose', [x], { perm });
  }

  #native(opType: string, inputs: readonly (Value | undefined)[], attributes: Attributes, name?: string): Value {
    return this.builder.node(opType, inputs, attributes, { ...(name !== undefined && { name }), domain: NCHWC });
  }

  /** A plain picture in the blocked layout; its channels must be a multiple of 4. */
  blocked(x: Value, name?: string): Value {
    return this.#native('ReorderInput', [x], { channels_last: 0 }, name);
  }

  /** A blocked picture in the plain layout: [N, C, H, W], or [N, H, W, C]. */
  plain(x: Value, channels: number, options: { readonly name?: string; readonly last?: boolean } = {}): Value {
    const attributes = { channels, channels_last: options.last ? 1 : 0 };
    return this.#native('ReorderOutput', [x], attributes, options.name);
  }

  /** A vector over channels, filled up with zeros. */
  vector(values: Value, channels: number): Value {
    return this.#padded(values, [channels], [this.filled(channels)]);
  }

  /** The first of the filled-up channels: those that there are. */
  cropped(values: Value, channels: number, axis = 0, name?: string): Value {
    if (this.filled(channels) === channels)
      return name === undefined ? values : this.emit('Identity', [values], {}, name);
    const { builder } = this;
    return this.emit('Slice', [values, ...[[0], [channels], [axis]].map((list) => builder.int64(list))], {}, name);
  }

  #padded(values: Value, from: readonly number[], to: readonly number[]): Value {
    if (from.every((size, axis) => size === to[axis])) return values;
    const ends = to.map((size, axis) => size - (from[axis] as number));
    return this.emit('Pad', [values, this.builder.int64([...from.map(() => 0), ...ends])]);
  }

  /**
   * A convolution of all channels with all.
   *
   * @param w plain [O, I, kh, kw]
   * @param bias [O]
   * @param plainInput whether x is plain, of fewer channels than a block
   */
  convolution(
    x: Value,
    w: Value,
    shape: readonly [number, number, number, number],
    geometry: Geometry,
    options: { readonly bias?: Value | undefined; readonly plainInput?: boolean; readonly name?: string } = {},
  ): Value {
    const { block: b } = this;
    const [o, i, kh, kw] = shape;
    const to = this.filled(o);
    const from = options.plainInput ? i : this.filled(i);
    const whole = this.#padded(w, shape, [to, from, kh, kw]);
    const tiled = options.plainInput
      ? this.transpose(this.reshape(whole, [to / b, b, from, kh, kw]), [0, 2, 3, 4, 1])
      : this.transpose(this.reshape(whole, [to / b, b, from / b, b, kh, kw]), [0, 2, 4, 5, 3, 1]);
    const bias = options.bias === undefined ? undefined : this.vector(options.bias, o);
    return this.#slide(x, this.reshape(tiled, [to, from, kh, kw]), bias, geometry, 1, options.name);
  }

  /** A convolution of each channel with a kernel of its own. @param w plain [C, 1, kh, kw] */
  depthwise(
    x: Value,
    w: Value,
    channels: number,
    geometry: Geometry,
    options: { readonly bias?: Value | undefined; readonly name?: string } = {},
  ): Value {
    const { block: b } = this;
    const [kh, kw] = geometry.kernel;
    const all = this.filled(channels);
    const whole = this.#padded(w, [channels, 1, kh, kw], [all, 1, kh, kw]);
    const tiled = this.transpose(this.reshape(whole, [all / b, b, kh, kw]), [0, 2, 3, 1]);
    const bias = options.bias === undefined ? undefined : this.vector(options.bias, channels);
    return this.#slide(x, this.reshape(tiled, [all, 1, kh, kw]), bias, geometry, all, options.name);
  }

  /** x * factor + term, a channel at a time: [C] each. */
  affine(
    x: Value,
    channels: number,
    factor: Value,
    term?: Value,
    options: { readonly sum?: Value; readonly name?: string } = {},
  ): Value {
    const all = this.filled(channels);
    const w = this.reshape(this.vector(factor, channels), [all, 1, 1, 1]);
    const bias = term === undefined ? undefined : this.vector(term, channels);
    return this.#slide(x, w, bias, POINT, all, options.name, options.sum);
  }

  /**
   * For every channel and place of a window, the sum of the products of two pictures over items and places: the second
   * is the kernel that slides over the first, a channel of an item at a time.
   *
   * @param size of the second picture: [N, C, H, W]
   * @returns [blocks, places, b]
   */
  correlation(x: Value, y: Value, from: Picture, size: Picture, geometry: Omit<Geometry, 'kernel' | 'strides'>): Value {
    const { block: b } = this;
    const [n, c, h, w] = size;
    const all = this.filled(c);
    const [kernel, strides] = [[h, w] as const, [1, 1] as const];
    const slid = this.#slide(
      this.reshape(x, [1, n * all, from[2], from[3]]),
      this.reshape(y, [n * all, 1, h, w]),
      undefined,
      { ...geometry, kernel, strides },
      n * all,
    );
    const parts = this.reshape(slid, [n, all / b, -1, b]);
    return n === 1 ? this.reshape(parts, [all / b, -1, b]) : this.#sum(parts, 0);
  }

  /** The sum of the products of two pictures, a channel at a time: [C]. */
  dot(x: Value, y: Value, size: Picture): Value {
    const found = this.correlation(x, y, size, size, { dilations: [1, 1], pads: [0, 0, 0, 0] });
    return this.cropped(this.reshape(found, [this.filled(size[1])]), size[1]);
  }

  /** The mean of a picture over items and places, a channel at a time: [C]. */
  mean(x: Value, [n, c]: Picture): Value {
    const pooled = this.reshape(this.pool(x), [n, this.filled(c)]);
    const mean = n === 1 ? pooled : this.emit('ReduceMean', [pooled, this.builder.int64([0])], { keepdims: 0 });
    return this.cropped(this.reshape(mean, [this.filled(c)]), c);
  }

  /** The mean over places: [N, C filled up, 1, 1]. */
  pool(x: Value): Value {
    return this.#native('GlobalAveragePool', [x], {});
  }

  #sum(x: Value, axis: number): Value {
    return this.emit('ReduceSum', [x, this.builder.int64([axis])], { keepdims: 0 });
  }

  /** @param w in the layout of the kernels */
  native(x: Value, w: Value, geometry: Geometry): Value {
    return this.#slide(x, w, undefined, geometry, 1);
  }

  #slide(
    x: Value,
    w: Value,
    bias: Value | undefined,
    { kernel, strides, dilations, pads }: Geometry,
    group: number,
    name?: string,
    sum?: Value,
  ): Value {
    const attributes = { kernel_shape: kernel, strides, dilations, pads, group };
    return this.#native('Conv', [x, w, bias, sum], attributes, name);
  }
}
