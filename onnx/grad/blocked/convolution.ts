import { intAttr } from '../../attribute.js';
import type { Value } from '../../build.js';
import type { GradNode } from '../grad-node.js';
import { kernelGradient } from '../kernel-gradient.js';
import type { GradRule } from '../rule.js';
import { windowOf } from '../window.js';
import { BLOCKED } from './domain.js';
import { BlockedEmitter, type Geometry, type Picture, POINT } from './emit.js';
import { backward, correlated, geometryOf, groupOf } from './geometry.js';

/** Places from which on the gradient of 1x1 kernels is made of products of blocks, and not of whole rearranged pictures. */
const MANY_PLACES = 1024;

/** Output channels from which on kernels' gradients are convolutions themselves: fewer leave the kernels idle. */
const MANY_CHANNELS = 32;

/** Input channels from which on the picture is not unfolded by itself. */
const FEW_CHANNELS = 8;

/** A convolution's shapes. */
interface Shapes {
  readonly x: Picture;
  readonly w: readonly [number, number, number, number];
  readonly y: Picture;
  readonly geometry: Geometry;
}

/**
 * The gradients of a convolution in the blocked layout: by the picture a convolution with turned kernels, by the kernels
 * one in which the output's gradient is the kernel.
 */
export const blockedConvolution: GradRule = {
  opTypes: ['Conv'],
  domain: BLOCKED,
  gradient(at) {
    const to = new BlockedEmitter(at.builder, intAttr(at.node, 'block') as number);
    const w = at.inputShape(1) as Shapes['w'];
    const shapes: Shapes = {
      ...{ x: at.inputShape(0) as unknown as Picture, w, y: at.outputShape() as unknown as Picture },
      geometry: geometryOf(at.node, w) as Geometry,
    };
    const depthwise = groupOf(at.node) > 1;
    const plainInput = (intAttr(at.node, 'plain') ?? 0) === 1;
    return [
      at.wants(0) ? (plainInput ? plainPicture(at, to, shapes) : picture(at, to, shapes, depthwise)) : undefined,
      at.wants(1) ? kernels(at, to, shapes, depthwise, plainInput) : undefined,
      at.wants(2) ? channelSum(at, to, shapes.y) : undefined,
    ];
  },
};

function channelSum(at: GradNode, to: BlockedEmitter, [n, c, h, w]: Picture): Value {
  return at.emit('Mul', [to.mean(at.dY, [n, c, h, w]), at.scalar(n * h * w)]);
}

function picture(at: GradNode, to: BlockedEmitter, { x, w, y, geometry }: Shapes, depthwise: boolean): Value {
  const turned = geometry.kernel[0] * geometry.kernel[1] > 1 ? turn(at, w) : at.input(1);
  const window = backward(geometry, x, y) as Geometry;
  const [n, , height, width] = y;
  const convolve = (from: Value): Value => {
    if (depthwise) return to.depthwise(from, turned, x[1], window);
    return to.convolution(from, at.transpose(turned, [1, 0, 2, 3]), [w[1], w[0], w[2], w[3]], window);
  };
  // What is set apart has zeros between: a kernel of one cell sees none of them.
  if (isPoint(window)) return apart(to, convolve(at.dY), [n, x[1], height, width], geometry.strides);
  return convolve(apart(to, at.dY, y, geometry.strides));
}

function isPoint({ kernel, pads }: Geometry): boolean {
  return kernel[0] * kernel[1] === 1 && pads.every((pad) => pad === 0);
}

/** Kernels turned by half a turn. */
function turn(at: GradNode, [o, i, kh, kw]: Shapes['w']): Value {
  const cells = kh * kw;
  const reversed = at.builder.int64(Array.from({ length: cells }, (_, cell) => cells - 1 - cell));
  const flat = at.reshape(at.input(1), [o, i, cells]);
  return at.reshape(at.emit('Gather', [flat, reversed], { axis: 2 }), [o, i, kh, kw]);
}

/** Zeros behind each row and column of a blocked picture, strides - 1 of them. */
function apart(to: BlockedEmitter, x: Value, [n, c, h, w]: Picture, [down, right]: readonly [number, number]): Value {
  if (down === 1 && right === 1) return x;
  const [all, { block: b, builder }] = [to.filled(c), to];
  const cells = to.reshape(x, [(n * all) / b, h, 1, w, 1, b]);
  const ends = [0, 0, down - 1, 0, right - 1, 0];
  const spread = to.emit('Pad', [cells, builder.int64([...ends.map(() => 0), ...ends])]);
  return to.reshape(spread, [n, all, h * down, w * right]);
}

/** The gradient by a picture that came in the plain layout. */
function plainPicture(at: GradNode, to: BlockedEmitter, { x, w, y, geometry }: Shapes): Value {
  const { kernel, strides, pads } = geometry;
  const rest = [0, 1].map((axis) => {
    const [size, places] = [x[axis + 2] as number, y[axis + 2] as number];
    return (
      size -
      ((places - 1) * (strides[axis] as number) +
        (w[axis + 2] as number) -
        (pads[axis] as number) -
        (pads[axis + 2] as number))
    );
  });
  return at.emit('ConvTranspose', [to.plain(at.dY, y[1]), at.input(1)], {
    ...{ kernel_shape: kernel, strides, pads, output_padding: rest },
  });
}

function kernels(at: GradNode, to: BlockedEmitter, shapes: Shapes, depthwise: boolean, plainInput: boolean): Value {
  const { x, w, y, geometry } = shapes;
  const { block: b } = to;
  const [o, i, kh, kw] = w;
  const window = correlated(geometry, x, y);
  if (depthwise && window) {
    // [blocks, taps, b], sorted by channels
    const found = to.transpose(to.correlation(at.input(0), at.dY, x, y, window), [0, 2, 1]);
    return to.reshape(to.cropped(to.reshape(found, [to.filled(o), kh * kw]), o), w);
  }
  const whole = o % b === 0 && i % b === 0;
  const straight = isPoint(geometry) && geometry.strides.every((stride) => stride === 1);
  if (straight && !plainInput)
    return whole && x[2] * x[3] >= MANY_PLACES ? byBlocks(at, to, shapes) : byPictures(at, to, shapes);
  if (!plainInput && whole && x[0] % b === 0 && o >= MANY_CHANNELS && window)
    return byConvolution(at, to, shapes, window);
  const [plainX, plainY] = [plainInput ? at.input(0) : to.plain(at.input(0), x[1]), to.plain(at.dY, y[1])];
  const slides = geometry.strides.every((stride) => stride === 1) && kh * kw > 1;
  if (!depthwise && slides && i >= FEW_CHANNELS) return bySides(at, shapes, plainX, plainY);
  return kernelGradient(at, {
    ...{ picture: plainX, pictureShape: x, places: plainY, placesShape: y, kernelShape: w },
    ...{ group: groupOf(at.node), window: windowOf(at.node, [kh, kw], x.slice(2), y.slice(2)) },
  });
}

/**
 * The product of the picture, shifted by each column of the kernel, and of the output's gradient, shifted by each row:
 * kh + kw copies instead of kh * kw.
 */
function bySides(at: GradNode, { x, w, y, geometry }: Shapes, picture: Value, places: Value): Value {
  const [n, i, , width] = x;
  const [, o, rows, columns] = y;
  const [, , kh, kw] = w;
  const [top, left, bottom] = geometry.pads;
  const [height, area] = [rows + kh - 1, (rows + kh - 1) * columns];
  const shifted = (from: Value, pads: readonly [number, number, number, number]): Value => {
    const [above, before, below, behind] = pads;
    return at.emit('Pad', [from, at.builder.int64([0, 0, above, before, 0, 0, below, behind])]);
  };
  // Columns and rows that fall off an edge are cut: what is padded there is less than nothing.
  const byColumn = Array.from({ length: kw }, (_, column) =>
    shifted(picture, [top, left - column, bottom, columns - width - left + column]),
  );
  const byRow = Array.from({ length: kh }, (_, row) => shifted(places, [row, 0, height - rows - row, 0]));
  const stacked = (parts: readonly Value[], channels: number): Value =>
    at.reshape(parts.length === 1 ? (parts[0] as Value) : at.emit('Concat', parts, { axis: 1 }), [n, channels, area]);
  const products = at.builder.node(
    'FusedMatMul',
    [stacked(byColumn, kw * i), stacked(byRow, kh * o)],
    { transB: 1 },
    { domain: 'com.microsoft' },
  );
  return at.transpose(at.reshape(at.sum(products, [0]), [kw, i, kh, o]), [3, 1, 2, 0]);
}

/** 1x1 kernels: the product of both pictures, a pair of blocks at a time. */
function byBlocks(at: GradNode, to: BlockedEmitter, { x, w, y }: Shapes): Value {
  const [n, i, height, width] = x;
  const [{ block: b, builder }, o, places] = [to, y[1], height * width];
  const left = to.reshape(at.dY, [n, o / b, 1, places, b]);
  const right = to.reshape(at.input(0), [n, 1, i / b, places, b]);
  const products = builder.node('FusedMatMul', [left, right], { transA: 1 }, { domain: 'com.microsoft' });
  const sum = n === 1 ? to.reshape(products, [o / b, i / b, b, b]) : at.sum(products, [0]);
  return to.reshape(to.transpose(sum, [0, 2, 1, 3]), w);
}

/** 1x1 kernels: one product over all places of all items, channels last. */
function byPictures(at: GradNode, to: BlockedEmitter, { x, w, y }: Shapes): Value {
  const places = x[0] * x[2] * x[3];
  const left = to.reshape(to.plain(at.dY, y[1], { last: true }), [places, y[1]]);
  const right = to.reshape(to.plain(at.input(0), x[1], { last: true }), [places, x[1]]);
  return to.reshape(at.emit('Gemm', [left, right], { transA: 1 }), w);
}

/**
 * A convolution with items as its channels: input channels are its items, the output's gradient its kernels, and the
 * kernels' cells its places. No patch is ever copied.
 */
function byConvolution(
  at: GradNode,
  to: BlockedEmitter,
  { x, w, y }: Shapes,
  window: Omit<Geometry, 'kernel' | 'strides'>,
): Value {
  const { block: b } = to;
  const [n, i, height, width] = x;
  const [, o, rows, columns] = y;
  const [, , kh, kw] = w;
  const items = to.transpose(to.reshape(at.input(0), [n / b, b, i / b, height * width, b]), [2, 4, 0, 3, 1]);
  const sliding = to.transpose(to.reshape(at.dY, [n / b, b, o / b, rows * columns, b]), [2, 0, 3, 1, 4]);
  const found = to.native(to.reshape(items, [i, n, height, width]), to.reshape(sliding, [o, n, rows, columns]), {
    ...POINT,
    ...window,
    kernel: [rows, columns],
  });
  // [I, blocks of O, places, b]
  const sorted = to.transpose(to.reshape(found, [i, o / b, kh * kw, b]), [1, 3, 0, 2]);
  return to.reshape(sorted, w);
}
