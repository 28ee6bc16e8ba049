import { TierbedError } from '../../base/errors.js';
import type { NamedTensor, Tensor } from '../../onnx/tensor.js';
import { elementReader } from '../elements.js';
import type { PostprocessSpec } from '../types.js';
import { rankingText } from './ranking.js';

/**
 * The class with the highest score in one row of scores (`[classes]`, `[1, classes]`...), or the `top` highest of them in
 * order: their names where the spec has names, else their indexes in decimal. Of equal scores the lowest index comes
 * first, on every node alike.
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
  return rankingText(highest(spec.output, tensor, spec.top ?? 1).map((index) => className(spec, index)));
}

function className({ output, classes }: Extract<PostprocessSpec, { kind: 'argmax' }>, index: number): string {
  if (!classes) return String(index);
  const name = classes[index];
  if (name === undefined) {
    throw new TierbedError('invalid', `argmax: class ${index} of '${output}' has no name: ${classes.length} given`);
  }
  return name;
}

/** Indexes of the `top` highest scores, the highest first. */
function highest(name: string, tensor: Tensor, top: number): number[] {
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
  if (top > count) {
    throw new TierbedError('invalid', `argmax: output '${name}' has ${count} scores, and the top ${top} are asked for`);
  }
  const best: { index: number; score: number }[] = [];
  for (let index = 0; index < count; index++) {
    const score = at(index);
    if (Number.isNaN(score)) throw new TierbedError('invalid', `argmax: output '${name}' is NaN at class ${index}`);
    let place = best.length;
    while (place > 0 && score > (best[place - 1] as { score: number }).score) place--;
    if (place >= top) continue;
    best.splice(place, 0, { index, score });
    if (best.length > top) best.pop();
  }
  return best.map(({ index }) => index);
}
