import { stringAttr } from '../attribute.js';
import type { Value } from '../build.js';
import type { GradNode } from './grad-node.js';
import type { GradRule } from './rule.js';

/** A sum of products by index letters: dX is one of dY and the other operands, broadcast over letters of X alone. */
export const einsum: GradRule = {
  opTypes: ['Einsum'],
  gradient(at) {
    const { operands, result } = terms(at);
    return operands.map((letters, i) => (at.wants(i) ? byOperand(at, operands, result, letters, i) : undefined));
  },
};

function byOperand(at: GradNode, operands: readonly string[], result: string, letters: string, i: number): Value {
  const others = operands.flatMap((each, k) => (k === i ? [] : [{ letters: each, tensor: at.input(k) }]));
  const factors = [{ letters: result, tensor: at.dY }, ...others];
  const found = [...letters].filter((letter) => factors.some((factor) => factor.letters.includes(letter)));
  const equation = `${factors.map((factor) => factor.letters).join()}->${found.join('')}`;
  const product = at.emit(
    'Einsum',
    factors.map(({ tensor }) => tensor),
    { equation },
  );
  if (found.length === letters.length) return product;
  const shape = at.inputShape(i);
  const kept = shape.map((size, axis) => (found.includes(letters[axis] as string) ? size : 1));
  return at.emit('Expand', [at.reshape(product, kept), at.builder.int64(shape)]);
}

function terms(at: GradNode): { readonly operands: readonly string[]; readonly result: string } {
  const equation = (stringAttr(at.node, 'equation') ?? '').replaceAll(' ', '');
  if (equation.includes('.')) throw at.error('its equation has an ellipsis', 'Write its axes as letters.');
  const [left = '', right] = equation.split('->');
  const operands = left.split(',');
  if (operands.some((letters) => new Set(letters).size < letters.length)) {
    throw at.error('its equation takes a diagonal: a letter twice in one operand');
  }
  return { operands, result: right ?? onceOnly(operands.join('')) };
}

/** Without an arrow the result has the letters that are there once, in alphabetical order. */
function onceOnly(letters: string): string {
  return [...letters]
    .filter((letter) => letters.indexOf(letter) === letters.lastIndexOf(letter))
    .sort()
    .join('');
}
