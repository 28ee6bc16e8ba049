import { TierbedError } from '../../base/errors.js';
import type { Preprocessor, PreprocessSpec } from '../types.js';
import { imagePreprocessor } from './image.js';
import { tensorsPreprocessor } from './tensors.js';

/** What turns an item's bytes into model inputs, by the spec's `kind`: a new one is a file here and a line below. */
const PREPROCESSORS: {
  readonly [K in PreprocessSpec['kind']]: (spec: Extract<PreprocessSpec, { kind: K }>) => Preprocessor;
} = {
  image: imagePreprocessor,
  tensors: tensorsPreprocessor,
};

/**
 * Makes the function that turns one item's bytes into the inputs of a model. Safe to use from several requests at once.
 *
 * @throws TierbedError `invalid` when the spec names no preprocessor or its numbers make no sense; the function made
 *   throws `invalid` for an item that is not what the spec expects
 */
export function createPreprocessor(spec: PreprocessSpec): Preprocessor {
  const create = PREPROCESSORS[spec.kind] as ((spec: PreprocessSpec) => Preprocessor) | undefined;
  if (!create) {
    throw new TierbedError('invalid', `there is no preprocessing '${spec.kind}'`, {
      fix: `Use one of: ${Object.keys(PREPROCESSORS).join(', ')}.`,
    });
  }
  return create(spec);
}
