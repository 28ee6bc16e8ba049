import { intAttr } from '../attribute.js';
import type { Value } from '../build.js';
import { DATA_TYPE } from '../model.js';
import { float32Values } from '../tensor.js';
import type { GradNode } from './grad-node.js';
import type { GradRule } from './rule.js';

/*
 * Fake quantisation is a QuantizeLinear with a DequantizeLinear behind it. Its gradient is the straight-through estimator
 * (Bengio et al. 2013, arXiv:1308.3432; Jacob et al., CVPR 2018, arXiv:1712.05877): rounding passes the gradient on,
 * saturating stops it. Scales have that of LSQ (Esser et al., ICLR 2020, arXiv:1902.08153): for a value in range the error
 * that rounding made of it, in steps; for one that saturates the step where it stops.
 *
 * The two rules meet at the tensor of steps between them, whose gradient is by one step. Each has a scale of its own: what
 * is quantised in steps already is so with a scale of 1, and what works in steps dequantises with a scale of 1.
 */

/** Y = (q - zeroPoint) * scale. */
export const dequantizeLinear: GradRule = {
  opTypes: ['DequantizeLinear'],
  gradient: (at) => [
    at.wants(0) ? scaled(at, 'Mul', at.dY, at.inputShape(0)) : undefined,
    at.wants(1) ? byScale(at, at.dY, at.output(), at.inputShape(0)) : undefined,
  ],
};

/** q = saturated(round(X / scale) + zeroPoint). */
export const quantizeLinear: GradRule = {
  opTypes: ['QuantizeLinear'],
  gradient(at) {
    if (!at.wants(0) && !at.wants(1)) return [];
    const gradient = scaled(at, 'Div', at.dY, at.inputShape(0));
    const passed = perTensor(at)
      ? whereOneRange(at, { gradient, x: at.input(0), scale: 1, zeroPoint: 2 })
      : whereRanges(at, gradient);
    const scale = at.wants(1) ? at.emit('Neg', [byScale(at, passed, at.input(0), at.inputShape(0))]) : undefined;
    return [at.wants(0) ? passed : undefined, scale];
  },
};

/**
 * ONNX Runtime's int8 kernels for sums and products: C = quantised(A + B) or quantised(A * B), of A, B and C as steps,
 * each with its scale and zero point behind it. The gradient is that of the float node between DequantizeLinear and
 * QuantizeLinear that they take the place of.
 */
export const qLinearBinary: GradRule = {
  opTypes: ['QLinearAdd', 'QLinearMul'],
  domain: 'com.microsoft',
  gradient(at) {
    const [A, B, C] = [0, 3, 6] as const;
    const numbers = [A, B].map((i) => at.emit('DequantizeLinear', [at.input(i), at.input(i + 1), at.input(i + 2)]));
    const [a, b] = numbers as [Value, Value];
    const adds = at.node.opType === 'QLinearAdd';
    const x = at.emit(adds ? 'Add' : 'Mul', [a, b]);
    const gradient = at.emit('Div', [at.dY, scalar(at, C)]);
    const passed = whereOneRange(at, { gradient, x, scale: C, zeroPoint: C + 1 });
    const results: (Value | undefined)[] = [];
    for (const [i, own, other] of [
      [A, a, b],
      [B, b, a],
    ] as const) {
      if (!at.wants(i) && !at.wants(i + 1)) continue;
      const full = adds ? passed : at.emit('Mul', [passed, other]);
      const byNumber = at.reduceTo(full, at.outputShape(), at.inputShape(i));
      if (at.wants(i)) results[i] = at.emit('Mul', [byNumber, scalar(at, i + 1)]);
      if (at.wants(i + 1)) results[i + 1] = byScale(at, byNumber, own, at.inputShape(i), i + 1);
    }
    if (at.wants(C)) results[C] = at.emit('Neg', [byScale(at, passed, x, at.outputShape(), C)]);
    return Array.from({ length: 8 }, (_, i) => results[i]);
  },
};

/** A gradient times the scale, or by it. */
function scaled(at: GradNode, opType: 'Mul' | 'Div', gradient: Value, shape: readonly number[]): Value {
  if (isOne(at)) return gradient;
  if (perTensor(at)) return at.emit(opType, [gradient, scalar(at, 1)]);
  const axis = axisOf(at, shape.length);
  const along = shape.map((size, i) => (i === axis ? size : 1)).slice(axis);
  return at.emit(opType, [gradient, at.reshape(at.input(1), along)]);
}

/** Whether the scale is known to be 1. */
function isOne(at: GradNode): boolean {
  const known = at.known(1);
  return known?.dtype === 'float32' && perTensor(at) && float32Values(known)[0] === 1;
}

/** An input of one element, without dimensions: it does not add any to what it is multiplied by. */
function scalar(at: GradNode, i: number): Value {
  return at.inputShape(i).length === 0 ? at.input(i) : at.reshape(at.input(i), []);
}

/** The sum of gradient times value over what shares a scale, by that scale. */
function byScale(at: GradNode, gradient: Value, values: Value, shape: readonly number[], scale = 1): Value {
  const axis = perTensor(at, scale) ? undefined : axisOf(at, shape.length);
  const over = shape.flatMap((_, i) => (i === axis ? [] : [i]));
  const sum = at.sum(at.emit('Mul', [gradient, values]), over);
  return at.emit('Div', [at.reshape(sum, at.inputShape(scale)), at.input(scale)]);
}

/** What is quantised with one range: the inputs that have its scale and zero point are named by their positions. */
interface Quantised {
  readonly gradient: Value;
  readonly x: Value;
  readonly scale: number;
  readonly zeroPoint: number;
}

/** A gradient where one range for the whole tensor does not saturate. */
function whereOneRange(at: GradNode, { gradient, x, scale, zeroPoint }: Quantised): Value {
  const factor = scalar(at, scale);
  const [least, most] = ends(at, zeroPoint, (zero) =>
    at.inputShape(zeroPoint).length === 0 ? zero : at.reshape(zero, []),
  );
  // What clipping to the range leaves as it is lies in it.
  const cut = at.emit('Clip', [x, at.emit('Mul', [factor, least]), at.emit('Mul', [factor, most])]);
  return at.emit('Mul', [gradient, at.emit('Cast', [at.emit('Equal', [x, cut])], { to: DATA_TYPE.float32 })]);
}

/** The same with a range for each channel. */
function whereRanges(at: GradNode, gradient: Value): Value {
  const shape = at.inputShape(0);
  const axis = axisOf(at, shape.length);
  const along = shape.map((size, i) => (i === axis ? size : 1)).slice(axis);
  const [least, most] = ends(at, 2, (zero) => zero);
  const bound = (steps: Value): Value => at.reshape(at.emit('Mul', [at.input(1), steps]), along);
  const above = at.emit('GreaterOrEqual', [at.input(0), bound(least)]);
  const below = at.emit('LessOrEqual', [at.input(0), bound(most)]);
  return at.emit('Mul', [gradient, at.emit('Cast', [at.emit('And', [above, below])], { to: DATA_TYPE.float32 })]);
}

/**
 * Where the range ends, in steps from the zero point: half a step beyond the last, as what rounds to it does not saturate.
 * A range that is known to begin at 0 begins there exactly: it stands for a Relu, whose gradient is 0 from there on.
 */
function ends(at: GradNode, zeroPoint: number, formed: (zero: Value) => Value): [least: Value, most: Value] {
  const [least, most] = limits(at);
  const zeros = at.has(zeroPoint) ? at.known(zeroPoint)?.data : new Uint8Array(1);
  if (!zeros) {
    const zero = formed(at.emit('Cast', [at.input(zeroPoint)], { to: DATA_TYPE.float32 }));
    return [at.emit('Sub', [at.scalar(least - 0.5), zero]), at.emit('Sub', [at.scalar(most + 0.5), zero])];
  }
  const numbers = least < 0 ? [...new Int8Array(zeros)] : [...zeros];
  const from = numbers.map((zero) => (least === 0 && zero === 0 ? 0 : least - 0.5 - zero));
  const to = numbers.map((zero) => most + 0.5 - zero);
  const one = numbers.every((zero) => zero === numbers[0]);
  const constant = (list: number[]): Value => at.builder.float32(one ? (list[0] as number) : list);
  return [constant(from), constant(to)];
}

function limits(at: GradNode): [least: number, most: number] {
  const type = at.dataType(at.output());
  if (type === DATA_TYPE.uint8) return [0, 255];
  if (type === DATA_TYPE.int8) return [-128, 127];
  throw at.error('its steps are neither uint8 nor int8');
}

function perTensor(at: GradNode, scale = 1): boolean {
  return at.inputShape(scale).reduce((a, b) => a * b, 1) === 1;
}

function axisOf({ node }: GradNode, rank: number): number {
  const axis = intAttr(node, 'axis') ?? 1;
  return axis < 0 ? axis + rank : axis;
}
