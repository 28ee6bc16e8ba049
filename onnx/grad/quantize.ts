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
    const passed = perTensor(at) ? whereOneRange(at, gradient) : whereRanges(at, gradient);
    const scale = at.wants(1) ? at.emit('Neg', [byScale(at, passed, at.input(0), at.inputShape(0))]) : undefined;
    return [at.wants(0) ? passed : undefined, scale];
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
function byScale(at: GradNode, gradient: Value, values: Value, shape: readonly number[]): Value {
  const axis = perTensor(at) ? undefined : axisOf(at, shape.length);
  const over = shape.flatMap((_, i) => (i === axis ? [] : [i]));
  const sum = at.sum(at.emit('Mul', [gradient, values]), over);
  return at.emit('Div', [at.reshape(sum, at.inputShape(1)), at.input(1)]);
}

/** A gradient where one range for the whole tensor does not saturate. */
function whereOneRange(at: GradNode, gradient: Value): Value {
  const scale = scalar(at, 1);
  const [least, most] = ends(at, (zero) => (at.inputShape(2).length === 0 ? zero : at.reshape(zero, [])));
  const x = at.input(0);
  // What clipping to the range leaves as it is lies in it.
  const cut = at.emit('Clip', [x, at.emit('Mul', [scale, least]), at.emit('Mul', [scale, most])]);
  return at.emit('Mul', [gradient, at.emit('Cast', [at.emit('Equal', [x, cut])], { to: DATA_TYPE.float32 })]);
}

/** The same with a range for each channel. */
function whereRanges(at: GradNode, gradient: Value): Value {
  const shape = at.inputShape(0);
  const axis = axisOf(at, shape.length);
  const along = shape.map((size, i) => (i === axis ? size : 1)).slice(axis);
  const [least, most] = ends(at, (zero) => zero);
  const bound = (steps: Value): Value => at.reshape(at.emit('Mul', [at.input(1), steps]), along);
  const above = at.emit('GreaterOrEqual', [at.input(0), bound(least)]);
  const below = at.emit('LessOrEqual', [at.input(0), bound(most)]);
  return at.emit('Mul', [gradient, at.emit('Cast', [at.emit('And', [above, below])], { to: DATA_TYPE.float32 })]);
}

/**
 * Where the range ends, in steps from the zero point: half a step beyond the last, as what rounds to it does not saturate.
 * A range that is known to begin at 0 begins there exactly: it stands for a Relu, whose gradient is 0 from there on.
 */
function ends(at: GradNode, formed: (zero: Value) => Value): [least: Value, most: Value] {
  const [least, most] = limits(at);
  const zeros = at.has(2) ? at.known(2)?.data : new Uint8Array(1);
  if (!zeros) {
    const zero = formed(at.emit('Cast', [at.input(2)], { to: DATA_TYPE.float32 }));
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

function perTensor(at: GradNode): boolean {
  return at.inputShape(1).reduce((a, b) => a * b, 1) === 1;
}

function axisOf({ node }: GradNode, rank: number): number {
  const axis = intAttr(node, 'axis') ?? 1;
  return axis < 0 ? axis + rank : axis;
}
