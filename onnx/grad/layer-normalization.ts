import { floatAttr, intAttr } from '../attribute.js';
import type { Value } from '../build.js';
import { elementCount } from '../tensor.js';
import type { GradNode } from './grad-node.js';
import { normalise, throughNormalisation } from './normalised.js';
import type { GradRule } from './rule.js';

/** Y = scale X' + bias, X' being X with mean 0 and variance 1 over the axes from `axis` on. */
export const layerNormalization: GradRule = {
  opTypes: ['LayerNormalization'],
  gradient(at) {
    for (const i of [1, 2]) if (at.outputGradient(i)) throw at.error('its statistics are used');
    const shape = at.inputShape(0);
    const axis = intAttr(at.node, 'axis') ?? -1;
    const from = axis < 0 ? axis + shape.length : axis;
    const size = elementCount(shape.slice(from));
    const epsilon = floatAttr(at.node, 'epsilon') ?? 1e-5;
    const rows = (x: Value): Value => (from === shape.length - 1 ? x : at.reshape(x, [-1, size]));
    const dY = rows(at.dY);
    const rank = from === shape.length - 1 ? shape.length : 2;
    const overRows = (x: Value, i: number): Value => {
      const sum = at.sum(
        x,
        Array.from({ length: rank - 1 }, (_, each) => each),
      );
      const given = at.inputShape(i);
      const full = shape.slice(from);
      return at.reduceTo(given.length === 1 && full.length === 1 ? sum : at.reshape(sum, full), full, given);
    };
    const bias = at.wants(2) ? overRows(dY, 2) : undefined;
    if (!at.wants(0) && !at.wants(1)) return [undefined, undefined, bias];
    const of = normalise(at, { x: rows(at.input(0)), size, epsilon });
    const product = at.emit('Mul', [dY, of.values]);
    const scale = at.wants(1) ? overRows(product, 1) : undefined;
    if (!at.wants(0)) return [undefined, scale, bias];
    const dX = byRows(at, { size, dY, product, of, shape: shape.slice(from) });
    return [from === shape.length - 1 ? dX : at.reshape(dX, shape), scale, bias];
  },
};

function byRows(
  at: GradNode,
  parts: {
    readonly size: number;
    readonly dY: Value;
    readonly product: Value;
    readonly of: ReturnType<typeof normalise>;
    readonly shape: readonly number[];
  },
): Value {
  const { size, dY, product, of, shape } = parts;
  const whole =
    elementCount(at.inputShape(1)) === size ? at.input(1) : at.emit('Expand', [at.input(1), at.builder.int64(shape)]);
  const scale = shape.length === 1 && at.inputShape(1).length === 1 ? whole : at.reshape(whole, [size]);
  // Means over rows that are scaled: products with a column.
  const column = at.reshape(at.emit('Mul', [scale, at.scalar(1 / size)]), [size, 1]);
  const [mean, along] = [dY, product].map((x) => at.emit('MatMul', [x, column])) as [Value, Value];
  return throughNormalisation(at, of, at.emit('Mul', [dY, scale]), mean, along);
}
