import { TierbedError } from '../../base/errors.js';
import type { NamedTensor, Tensor } from '../../onnx/tensor.js';
import { elementReader } from '../elements.js';
import type { PostprocessSpec } from '../types.js';

/**
 * The class with the highest score in one row of scores (`[classes]`, `[1, classes]`...): its name where the spec has
 * names, else its index in decimal. Of equal scores the lowest index wins, on every node alike.
 *
 * @throws TierbedError `invalid` when the output is missing, holds more or less than one row, or holds a NaN
 */
export function argmax(spec: Extract<PostprocessSpec, { kind: 'argmax' }>, outputs: readonly NamedTensor[]): string {
  const tensor = outputs.find(({ name }) => name === spec.output)?.tensor;
  if (!tensor) {
    throw new TierbedError('invalid', `argmax: the model gave no output '${spec.output}'`, {
      fix: `Use one of its outputs: ${outputs.map(({ name }) => name).join(', ')}.`,
    });
  }
  const best = highest(spec.output, tensor);
  if (!spec.classes) return String(best);
  const name = spec.classes[best];
  if (name === undefined) {
    throw new TierbedError(
      'invalid',
      `argmax: class ${best} of '${spec.output}' has no name: ${spec.classes.length} given`,
    );
  }
  return name;
}

function highest(name: string, tensor: Tensor): number {
  if (tensor.dtype === 'string')
    throw new TierbedError('invalid', `argmax: output '${name}' holds strings, not scores`);
  const classes = tensor.shape.at(-1) ?? 1;
  const { count, at } = elementReader(tensor);
  if (count === 0 || count !== classes) {
    throw new TierbedError(
      'invalid',
      `argmax: output '${name}' has shape [${tensor.shape.join(', ')}], not one row of scores`,
    );
  }
  let best = 0;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < count; i++) {
    const score = at(i);
    if (Number.isNaN(score)) throw new TierbedError('invalid', `argmax: output '${name}' is NaN at class ${i}`);
    if (score > bestScore) {
      best = i;
      bestScore = score;
    }
  }
  return best;
}
