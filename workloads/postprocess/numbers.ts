import { TierbedError } from '../../base/errors.js';
import type { NamedTensor, Tensor } from '../../onnx/tensor.js';
import { elementReader } from '../elements.js';
import type { PostprocessSpec } from '../types.js';

/** A prediction is a cell of the results: 4,096 numbers take 50 kB a sample. */
const MAX_NUMBERS = 4096;

/** As many digits as tell any two float32 apart. */
const DIGITS = 9;

/**
 * An output's elements as numbers, in their order.
 *
 * @throws TierbedError `invalid` when the output is missing, holds strings, nothing or more than 4,096 elements, or one
 *   of them is no finite number
 */
export function numbers(spec: Extract<PostprocessSpec, { kind: 'numbers' }>, outputs: readonly NamedTensor[]): string {
  const tensor = outputs.find(({ name }) => name === spec.output)?.tensor;
  if (!tensor) {
    throw new TierbedError('invalid', `numbers: the model gave no output '${spec.output}'`, {
      fix: `Use one of its outputs: ${outputs.map(({ name }) => name).join(', ')}.`,
    });
  }
  return numbersText(`output '${spec.output}'`, tensor);
}

/**
 * A tensor's elements in decimal, with spaces between them.
 *
 * @param what names the tensor in an error
 * @throws TierbedError as `numbers`
 */
export function numbersText(what: string, tensor: Tensor): string {
  if (tensor.dtype === 'string') throw new TierbedError('invalid', `${what} holds strings, not numbers`);
  const { count, at } = elementReader(tensor);
  if (count === 0 || count > MAX_NUMBERS) {
    throw new TierbedError('invalid', `${what} has ${count} elements; a prediction has 1 to ${MAX_NUMBERS} numbers`);
  }
  const texts: string[] = [];
  for (let i = 0; i < count; i++) {
    const value = at(i);
    if (!Number.isFinite(value)) throw new TierbedError('invalid', `${what} is ${value} at element ${i}`);
    texts.push(String(Number(value.toPrecision(DIGITS))));
  }
  return texts.join(' ');
}

/** The numbers of a text as `numbersText` writes it; undefined when it is none. */
export function parseNumbers(text: string): Float64Array | undefined {
  const words = text.trim().split(/\s+/);
  const values = Float64Array.from(words, (word) => (word === '' ? Number.NaN : Number(word)));
  return values.every(Number.isFinite) ? values : undefined;
}
